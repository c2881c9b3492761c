"""A repository of charts on loopback: an index, archives packed from `tests/charts/tiny` under any name, and what can go
wrong on the way."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

TINY = Path(__file__).resolve().parents[1] / "charts" / "tiny"


def packed(name: str, version: str, more: Mapping[str, str] = {}) -> bytes:
    """An archive of the chart `tiny` under this name and version, the same bytes each time; `more` are further files, or
    other ones of its own."""
    about = {**yaml.safe_load((TINY / "Chart.yaml").read_text()), "name": name, "version": version}
    files = {str(path.relative_to(TINY)): path.read_bytes() for path in sorted(TINY.rglob("*")) if path.is_file()}
    files |= {"Chart.yaml": yaml.safe_dump(about).encode(), **{path: text.encode() for path, text in more.items()}}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(f"{name}/{path}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass
class Repository:
    """What it serves, by path, and how: `cut` paths end after so many bytes, once for each; `moved` lead elsewhere;
    `silent` ones send half, once, and then nothing until `go_on`."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    moved: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    go_on: threading.Event = field(default_factory=threading.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[str, str]] = field(default_factory=list)  # path, and the range that was asked for

    def add(self, name: str, version: str, content: bytes, url: str = "") -> None:
        """An archive, and its line in the index; `url` as the index says it."""
        path = f"{name}-{version}.tgz"
        self.files[f"/{path}"] = content
        index = yaml.safe_load(self.files.get("/index.yaml", b"entries: {}"))
        row = {"name": name, "version": version, "urls": [url or path]}
        index["entries"].setdefault(name, []).append(row)
        self.files["/index.yaml"] = yaml.safe_dump({"apiVersion": "v1", **index}).encode()

    def ranges(self, path: str) -> list[str]:
        return [asked for where, asked in self.asked if where == path]


@contextmanager
def repository() -> Iterator[Repository]:
    """On a free port."""
    here = Repository()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(here))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    here.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield here
    finally:
        here.go_on.set()
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(here: Repository) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, asked = self.path, self.headers.get("Range", "")
            here.asked.append((path, asked))
            if path in here.moved:
                self.send_response(302)
                self.send_header("Location", here.moved[path])
                self.end_headers()
                return
            content = here.files.get(path)
            if content is None:
                self.send_error(404)
                return
            begin = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if begin >= len(content) > 0:
                self.send_error(416)
                return
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - begin))
            self.end_headers()
            self._send(path, content[begin:])

        def _send(self, path: str, rest: bytes) -> None:
            cuts = here.cut.get(path)
            if cuts:
                self.wfile.write(rest[: cuts.pop(0)])
                self.close_connection = True
            elif path in here.silent:
                self.wfile.write(rest[: 0 if here.begun.is_set() else len(rest) // 2])
                self.wfile.flush()
                here.begun.set()
                here.go_on.wait(60)
            else:
                self.wfile.write(rest)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler
