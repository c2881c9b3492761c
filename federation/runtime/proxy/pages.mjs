// The few pages that edge and front door answer themselves. The header says which, for those who look from outside.

const TEXTS = {
  closed: [503, "This class is not open at this site", "It may be moving, or it may not have started yet. This page tries again by itself.", 5],
  departed: [503, "This class runs at another site now", "The address is the same, and leads there within a minute. This page tries again by itself.", 15],
  unknown: [404, "No class of this name", "Check the address. If it is right, ask your instructor.", null],
  unanswered: [502, "The class does not answer", "The class's hub is starting or has stopped answering. This page tries again by itself.", 5],
  broken: [500, "The proxy could not handle this request", "If it happens again, tell your instructor.", null],
};

export function page(kind) {
  const [code, title, text, again] = TEXTS[kind];
  const body = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head>
<body><h1>${title}</h1><p>${text}</p></body></html>
`;
  const headers = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
    "Cache-Control": "no-store",
    "X-Hubfed-Gate": kind,
  };
  // The browser must ask where the name leads, and not come back over the connection that it has.
  if (kind === "closed" || kind === "departed") headers.Connection = "close";
  if (again) Object.assign(headers, { Refresh: String(again), "Retry-After": String(again) });
  return { code, headers, body };
}

export function answer(res, kind) {
  if (res.headersSent || res.writableEnded) return void res.destroy?.();
  const { code, headers, body } = page(kind);
  res.writeHead(code, headers);
  res.end(res.req?.method === "HEAD" ? undefined : body);
}

export function answerJson(res, code, content) {
  const body = JSON.stringify(content);
  res.writeHead(code, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(body), "Cache-Control": "no-store" });
  res.end(body);
}

// For an upgrade that is refused there is only the bare socket.
export function answerSocket(socket, kind) {
  if (!socket.writable) return void socket.destroy();
  const { code, headers, body } = page(kind);
  const lines = Object.entries({ ...headers, Connection: "close" }).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${code} Refused\r\n${lines.join("\r\n")}\r\n\r\n${body}`);
}
