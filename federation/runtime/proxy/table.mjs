// A routing table in a file that somebody else replaces whole: re-read when it changed, kept when it cannot be read.

import fs from "node:fs";

export class Table {
  // `parse` turns the file's JSON into a Map from host name to a record.
  constructor(path, parse, log) {
    this.path = path;
    this.parse = parse;
    this.log = log;
    this.entries = new Map();
    this.seen = "";
  }

  refresh() {
    try {
      const found = fs.statSync(this.path, { bigint: true });
      const mark = `${found.ino}.${found.mtimeNs}.${found.size}`;
      if (mark === this.seen) return;
      this.seen = mark;
      this.entries = this.parse(JSON.parse(fs.readFileSync(this.path, "utf8")));
    } catch (error) {
      if (error.code !== "ENOENT") this.log.warn(`${this.path}: kept the table as it was: ${error.message}`);
    }
  }

  look(host) {
    this.refresh();
    return this.entries.get(host);
  }
}

export function hostOf(req) {
  return (req.headers.host ?? "").replace(/:\d+$/, "").replace(/\.$/, "").toLowerCase();
}

// {"routes": [{"hub", "epoch": [era, n], "hosts": [...], "target": "host:port"}], "departed": [{"hub", "hosts": [...]}]}
export function edgeRoutes(body) {
  const entries = new Map();
  for (const { hub, hosts } of body.departed ?? []) {
    for (const host of hosts) entries.set(host.toLowerCase(), { hub, departed: true });
  }
  for (const { hub, epoch, hosts, target } of body.routes) {
    for (const host of hosts) entries.set(host.toLowerCase(), { hub, epoch, target: `http://${target}` });
  }
  return entries;
}

// {"names": {"host": {"hub", "epoch": [era, n], "target": "host:port"}}}
export function frontDoorNames(body) {
  const named = ([host, { hub, epoch, target }]) => [host.toLowerCase(), { hub, epoch, target: `http://${target}` }];
  return new Map(Object.entries(body.names).map(named));
}
