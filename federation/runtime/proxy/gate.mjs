// What the lease file permits: the twin of agents/drivers/gate.py (PROTOCOL.md section 4).
// A file that is missing, half-written, of another boot or older changes nothing: what was permitted goes on exactly as
// long as its own deadlines say. With nothing in memory everything is closed.

import fs from "node:fs";

const UPTIME_STEP_NS = 10_000_000n; // /proc/uptime counts in 10 ms

export function bootId() {
  return fs.readFileSync("/proc/sys/kernel/random/boot_id", "ascii").trim();
}

// It is so late, or later.
export function earliestNs() {
  const [whole, part] = fs.readFileSync("/proc/uptime", "ascii").split(" ")[0].split(".");
  return BigInt(whole) * 1_000_000_000n + BigInt(part.padEnd(9, "0").slice(0, 9));
}

// It is so late, or earlier: what is compared with a deadline, so that nothing closes late.
export function boottimeNs() {
  return earliestNs() + UPTIME_STEP_NS;
}

export class Gate {
  constructor(path, { boot = bootId(), now = boottimeNs } = {}) {
    this.path = path;
    this.boot = boot;
    this.now = now;
    this.order = [-1, -1];
    this.permits = new Map();
    this.seen = "";
  }

  // Look at the file; cheap when it did not change.
  refresh() {
    let text;
    try {
      const found = fs.statSync(this.path, { bigint: true });
      const mark = `${found.ino}.${found.mtimeNs}.${found.size}`;
      if (mark === this.seen) return;
      text = fs.readFileSync(this.path, "utf8");
      this.seen = mark;
    } catch {
      return;
    }
    this.take(text);
  }

  take(text) {
    let permits, order;
    try {
      const body = JSON.parse(text);
      order = [whole(body.incarnation), whole(body.seq)].map(Number);
      if (body.boot_id !== this.boot || before(order, this.order)) return false;
      permits = new Map(Object.entries(body.hubs).map(([hub, entry]) => [hub, permit(entry)]));
    } catch {
      return false;
    }
    this.order = order;
    this.permits = permits;
    return true;
  }

  isOpen(hub, epoch) {
    const found = this.permits.get(hub);
    if (!found || found.era !== epoch[0] || found.n !== epoch[1]) return false;
    return found.closeAt === null || this.now() < found.closeAt;
  }
}

// As the lease file has it; times stay what they are.
export function permit(entry) {
  const [era, n] = entry.epoch;
  if (entry.epoch.length !== 2 || entry.close_at === undefined) throw new Error("not a permit");
  return { era: Number(whole(era)), n: Number(whole(n)), closeAt: entry.close_at === null ? null : whole(entry.close_at) };
}

// After 104 days of uptime a double no longer holds every nanosecond; being a microsecond off does not matter here.
function whole(value) {
  if (!Number.isInteger(value) || value < 0) throw new Error("not a whole number");
  return BigInt(value);
}

export function before(left, right) {
  return left[0] < right[0] || (left[0] === right[0] && left[1] < right[1]);
}
