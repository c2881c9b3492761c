// What an edge on another host than the agent's may let through: it asks the agent, again and again, and counts what it is told
// from its own send (PROTOCOL.md H13). Nobody can open it from outside, and it closes by itself.
//
// An answer: {"boot_id", "order": [incarnation, seq] or null, "hubs": {hub: {"epoch": [era, n], "close_in": ns or null}},
// "table": as table.mjs reads it}. `order` null: the agent has no lease file in this boot of its host. `table` null: it
// cannot be read just now.

import https from "node:https";
import fs from "node:fs";
import { before, boottimeNs, earliestNs, permit } from "./gate.mjs";

export class AskedGate {
  // `every` and `limit` in ms; `name` is what the agent's certificate must say, whatever the address is.
  constructor({ url, ca, name, every = 250, limit = 2000, parse, log }) {
    Object.assign(this, { url, name, every, limit, parse, log });
    this.ca = fs.readFileSync(ca);
    this.agent = new https.Agent({ keepAlive: true, maxSockets: 1 });
    this.boot = "";
    this.order = [-1, -1];
    this.permits = new Map();
    this.entries = new Map();
    this.said = "";
    this.asks = 0; // that were answered, or not in time
    this.answered = false; // ever
  }

  // One question after the other, for ever: an answer can never overtake a later one.
  async run() {
    for (;;) {
      try {
        const sent = earliestNs();
        this.take(await this.ask(), sent);
        this.note("");
      } catch (error) {
        this.note(error.message);
      }
      this.asks += 1;
      await new Promise((done) => setTimeout(done, this.every));
    }
  }

  ask() {
    return new Promise((done, failed) => {
      const options = { agent: this.agent, ca: this.ca, servername: this.name, timeout: this.limit };
      const asking = https.get(this.url, options, (res) => {
        const parts = [];
        res.on("data", (part) => parts.push(part));
        res.on("error", failed);
        res.on("end", () => {
          if (res.statusCode !== 200) return failed(new Error(`the agent answered ${res.statusCode}`));
          done(Buffer.concat(parts).toString("utf8"));
        });
      });
      const late = setTimeout(() => asking.destroy(new Error(`no answer in ${this.limit} ms`)), this.limit);
      asking.on("error", failed);
      asking.on("close", () => clearTimeout(late));
    });
  }

  // What was permitted before goes on exactly as long as its own deadlines say, unless this answer says something else.
  take(text, sent) {
    const body = JSON.parse(text);
    if (typeof body.boot_id !== "string" || !body.boot_id) throw new Error("not an answer of an agent");
    const same = body.boot_id === this.boot;
    const order = body.order === null ? [-1, -1] : body.order.map(Number);
    if (same && before(order, this.order)) return;
    const permits = new Map(Object.entries(body.hubs).map(([hub, entry]) => [hub, counted(entry, sent)]));
    const entries = body.table === null ? this.entries : this.parse(body.table);
    this.answered = true;
    this.boot = body.boot_id;
    this.order = order;
    this.permits = permits;
    this.entries = entries;
  }

  isOpen(hub, epoch) {
    const found = this.permits.get(hub);
    if (!found || found.era !== epoch[0] || found.n !== epoch[1]) return false;
    return found.closeAt === null || boottimeNs() < found.closeAt;
  }

  refresh() {}

  look(host) {
    return this.entries.get(host);
  }

  note(trouble) {
    if (trouble === this.said) return;
    this.said = trouble;
    this.log.warn(trouble ? `the agent cannot be asked: ${trouble}` : "the agent answers");
  }
}

function counted({ epoch, close_in }, sent) {
  const found = permit({ epoch, close_at: close_in });
  return { ...found, closeAt: found.closeAt === null ? null : sent + found.closeAt };
}
