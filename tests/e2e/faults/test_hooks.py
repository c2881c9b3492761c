"""An outage is told to a program and to a web hook, for real, although the leader is killed while it tells it."""

from __future__ import annotations

import hashlib
import hmac
import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.federation import Federation, until
from tests.support.takeover import wait_until_armed, wait_until_served_at

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(500)]

KEY = b"correct horse battery staple"
KILL_WHO_CALLS = """import json, os, pathlib, signal, sys
folder = pathlib.Path(sys.argv[1])
said = sys.stdin.read()
with open(folder / "told", "a") as file:
    file.write(said + "\\n")
if json.loads(said)["event"] == "takeover" and not (folder / "killed").exists():
    (folder / "killed").write_text(str(os.getppid()))
    os.kill(os.getppid(), signal.SIGKILL)
"""


class Chat(ThreadingHTTPServer):
    """Keeps the body and signature of each call."""

    def __init__(self) -> None:
        self.got: list[tuple[bytes, str]] = []
        super().__init__(("127.0.0.1", 0), Take)


class Take(BaseHTTPRequestHandler):
    server: Chat

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((body, self.headers["X-Hubfed-Signature"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing on the screen."""


@pytest.fixture
def chat() -> Iterator[Chat]:
    with Chat() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def restart_coordinators(here: Federation) -> None:
    """They read the federation file when they start."""
    victims = here.pids("coordinator")
    for pid in victims:
        here.kill(pid)
    until(lambda: len(set(here.pids("coordinator")) - set(victims)) == len(victims), "they are back", 30, here.logs)
    until(lambda: here.fedctl("get", ok=False).code == 0, "they answer", 30, here.logs)


@pytest.fixture
def hooked(here: Federation, chat: Chat, tmp_path: Path) -> Iterator[Federation]:
    file = here.dir / "federation.yaml"
    before = file.read_text()
    (tmp_path / "key").write_bytes(KEY)
    body = yaml.safe_load(before)
    body["spec"]["hooks"] = [
        {"name": "log", "command": [sys.executable, "-c", KILL_WHO_CALLS, str(tmp_path)]},
        {"name": "chat", "url": f"http://127.0.0.1:{chat.server_port}/in", "signature_key": str(tmp_path / "key")},
    ]
    file.write_text(yaml.safe_dump(body))
    restart_coordinators(here)
    yield here
    file.write_text(before)
    restart_coordinators(here)


def told(folder: Path, event: str) -> list[dict[str, Any]]:
    file = folder / "told"
    said = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [one for one in said if one["event"] == event]


def test_the_news_of_an_outage_are_lost_by_nobody(hooked: Federation, chat: Chat, tmp_path: Path) -> None:
    here = hooked
    assert len(here.fedctl("hooks", "test").out.splitlines()) == 1 + 3 * 2, "every coordinator called both"
    assert len(told(tmp_path, "test")) == 3
    with here.placed("told", storage={"type": "none"}):
        wait_until_armed(here, "told", "iu")
        until(lambda: here.condition("told", "Reachable") == "True", "the other places see it", 60, here.logs)
        ready = here.fedctl("doctor", "told")
        assert "tacc could take it over from iu" in ready.err
        here.lab("kill", "iu")
        wait_until_served_at(here, "told", "tacc")
        until(lambda: "ended" in [one["turn"] for one in told(tmp_path, "takeover")], "all is told")
        assert (tmp_path / "killed").exists(), "a leader was killed by what it called"
        here.lab("heal", "iu")
        until(lambda: here.condition("told", "PeerClean") == "True", "iu confirms that it closed", 90, here.logs)
    said = told(tmp_path, "takeover")
    assert [(one["turn"], one["classroom"]) for one in said] == [("begun", "told")] * 2 + [("ended", "told")]
    assert said[0] == said[1], "the next leader said it again, in the same words and with the same id"
    bodies = [
        body for body, signature in chat.got if signature == f"sha256={hmac.new(KEY, body, hashlib.sha256).hexdigest()}"
    ]
    assert len(bodies) == len(chat.got), "every call was signed"
    heard = Counter(json.loads(body)["id"] for body in bodies)
    assert {one["id"] for one in said} <= heard.keys()
