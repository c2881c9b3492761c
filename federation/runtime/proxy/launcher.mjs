// Edge and front door of a local site: configurable-http-proxy as a library, with tables in files instead of its REST API
// (none listens). Who may pass the edge is read from the lease file at each request and every 250 ms (gate.mjs).
//
// On another host than the agent's an edge asks the agent for both (asked.mjs).
//
// usage: launcher.mjs edge --listen HOST:PORT --table FILE --lease FILE [--package DIR]
//        launcher.mjs edge --listen HOST:PORT --ask URL --ca FILE --name NAME [--package DIR]
//        launcher.mjs frontdoor --listen HOST:PORT --table FILE [--package DIR]
// Without --package the library is that of the program configurable-http-proxy on PATH: in an image it is somewhere else in
// each version.

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { AskedGate } from "./asked.mjs";
import { Gate } from "./gate.mjs";
import { answer, answerJson, answerSocket } from "./pages.mjs";
import { edgeRoutes, frontDoorNames, hostOf, Table } from "./table.mjs";

const LOOK_MS = 250;
const ADDRESS_TAKEN = 98;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    listen: { type: "string" },
    table: { type: "string" },
    lease: { type: "string" },
    ask: { type: "string" },
    ca: { type: "string" },
    name: { type: "string" },
    package: { type: "string" },
  },
});
const [mode] = positionals;
const { ConfigurableProxy } = await import(pathToFileURL(library()));

const say = (level) => (...words) => console.error(new Date().toISOString(), level, mode, ...words);
const quiet = () => {};
const log = { debug: quiet, info: quiet, warn: say("warning"), error: quiet };

function library() {
  if (values.package) return path.join(values.package, "node_modules/configurable-http-proxy/index.js");
  const places = (process.env.PATH ?? "").split(path.delimiter).map((folder) => path.join(folder, "configurable-http-proxy"));
  const program = places.find((place) => fs.existsSync(place));
  if (!program) throw new Error("no configurable-http-proxy on PATH, and no --package");
  return path.join(path.dirname(fs.realpathSync(program)), "../index.js");
}

// Which streams are open for which hub, so that closing a hub also ends what was let in earlier.
class Passages {
  constructor() {
    this.open = new Set();
  }

  add(stream, { hub, epoch }) {
    const passage = { stream, hub, epoch };
    this.open.add(passage);
    stream.once("close", () => this.open.delete(passage));
  }

  sweep(mayStay) {
    for (const passage of this.open) if (!mayStay(passage)) passage.stream.destroy();
  }
}

class SiteProxy extends ConfigurableProxy {
  constructor(table) {
    super({ log, xfwd: true, ws: true });
    this.table = table;
  }

  // Why this request may not pass; undefined lets it.
  refusal(_entry) {
    return undefined;
  }

  targetForReq(req) {
    return Promise.resolve(req.hubfed && { prefix: "/", target: req.hubfed.target });
  }

  // Whether users may be sent here: one that asks an agent and was never answered is closed for everybody.
  ready() {
    return true;
  }

  // What whoever looks after this proxy wants to know besides.
  about() {
    return {};
  }

  updateLastActivity() {
    return Promise.resolve();
  }

  handleHealthCheck() {}

  handleProxyWeb(req, res) {
    if (req.url === "/.hubfed/proxy") return answerJson(res, 200, { mode, pid: process.pid, ...this.about() });
    if (req.url === "/.hubfed/ready") return answerJson(res, this.ready() ? 200 : 503, { mode });
    const entry = (req.hubfed = this.table.look(hostOf(req)));
    if (!entry) return answer(res, "unknown");
    if (entry.departed) return answer(res, "departed");
    if (req.url === "/.hubfed/name") return this.tellName(res, entry);
    const why = this.refusal(entry);
    if (why) return answer(res, why);
    this.entered?.(res, entry);
    return super.handleProxyWeb(req, res);
  }

  handleProxyWs(req, socket, head) {
    socket.on("error", quiet);
    const entry = (req.hubfed = this.table.look(hostOf(req)));
    const why = !entry ? "unknown" : entry.departed ? "departed" : this.refusal(entry);
    if (why) return answerSocket(socket, why);
    this.entered?.(socket, entry);
    return super.handleProxyWs(req, socket, head);
  }

  handleProxyError(code, kind, req, res, error) {
    if (!res) return;
    const why = error && code !== 500 ? "unanswered" : "broken";
    if (kind === "ws") answerSocket(res, why);
    else answer(res, why);
  }

  tellName(res, { hub, epoch, target }) {
    answerJson(res, 200, { hub, epoch, target: target.replace("http://", "") });
  }
}

class Edge extends SiteProxy {
  constructor(table, gate) {
    super(table);
    this.gate = gate;
    this.passages = new Passages();
    this.look = () => {
      this.gate.refresh();
      this.table.refresh();
      this.passages.sweep(({ hub, epoch }) => this.gate.isOpen(hub, epoch));
    };
    this.look();
    setInterval(this.look, LOOK_MS);
  }

  refusal({ hub, epoch }) {
    this.gate.refresh();
    return this.gate.isOpen(hub, epoch) ? undefined : "closed";
  }

  ready() {
    return this.gate.answered ?? true;
  }

  about() {
    return { order: this.gate.order, asks: this.gate.asks };
  }

  entered(stream, entry) {
    this.passages.add(stream, entry);
  }
}

function make() {
  if (mode === "edge" && values.ask) {
    const asked = new AskedGate({ url: values.ask, ca: values.ca, name: values.name, parse: edgeRoutes, log });
    asked.run();
    return new Edge(asked, asked);
  }
  if (mode === "edge") return new Edge(new Table(values.table, edgeRoutes, log), new Gate(values.lease));
  if (mode === "frontdoor") return new SiteProxy(new Table(values.table, frontDoorNames, log));
  throw new Error(`no such mode: ${mode}`);
}

const at = values.listen.lastIndexOf(":");
const [host, port] = [values.listen.slice(0, at).replace(/^\[|\]$/g, ""), Number(values.listen.slice(at + 1))];
const server = make().proxyServer;
server.on("error", (error) => {
  log.warn(`cannot listen at ${values.listen}: ${error.message}`);
  process.exit(error.code === "EADDRINUSE" ? ADDRESS_TAKEN : 1);
});
server.on("clientError", (_error, socket) => socket.destroy());
// One broken stream must not end the proxy of every class.
process.on("uncaughtException", (error) => log.warn(`survived: ${error.stack}`));
server.listen({ host, port }, () => log.warn(`listening at ${values.listen}`));
for (const name of ["SIGTERM", "SIGINT"]) process.on(name, () => process.exit(0));
