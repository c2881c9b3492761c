"""Hooks for real: programs and a web server on loopback, signatures, bounds, and what must never be said."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_string
from pathlib import Path

import pytest
from aiohttp import web

from federation.coordinator.hook_calls import SystemHookCaller, environment
from federation.core.hooks import Call, call_of
from federation.model.hooks import Hook
from federation.model.placing import Event

SECRET_PATH = "/services/T0SECRET/xyzzy"


@dataclass
class Receiver:
    """A chat server's web hook: keeps what it got and answers as it is told to."""

    address: str = ""
    status: int = 200
    answer: str = "ok"
    location: str = ""
    got: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://{self.address}{SECRET_PATH}"

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((await request.read(), dict(request.headers)))
        headers = {"Location": self.location} if self.location else {}
        return web.Response(status=self.status, text=self.answer, headers=headers)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    here = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", here.take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    here.address = "{}:{}".format(*runner.addresses[0][:2])
    yield here
    await runner.cleanup()


def news() -> Call:
    at = datetime(2026, 9, 1, tzinfo=UTC)
    event = Event(at=at, hub="atm101-abc123", site="iu", type="failover.admitted", message="iu is silent", actor="c1")
    call = call_of("hubs", "atm101-abc123/0001-aa", event)
    assert call is not None
    return call


async def test_a_receiver_can_check_who_sent_it_with_the_key_in_the_file(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "chat.key").write_text("correct horse battery staple\n")
    hook = Hook(name="chat", url=receiver.url, signature_key="chat.key")
    assert await SystemHookCaller(tmp_path).call(hook, news()) == ""
    (body, headers) = receiver.got[0]
    expected = hmac.new(b"correct horse battery staple", body, hashlib.sha256).hexdigest()
    assert headers["X-Hubfed-Signature"] == f"sha256={expected}"
    assert headers["X-Hubfed-Id"] == json.loads(body)["id"] == "atm101-abc123/0001-aa"
    assert (headers["X-Hubfed-Event"], headers["Content-Type"]) == ("takeover", "application/json")


async def test_without_its_key_nothing_is_sent_unsigned(receiver: Receiver, tmp_path: Path) -> None:
    hook = Hook(name="chat", url=receiver.url, signature_key="chat.key")
    assert "chat.key: No such file" in await SystemHookCaller(tmp_path).call(hook, news())
    (tmp_path / "chat.key").write_text("\n")
    assert "it is empty" in await SystemHookCaller(tmp_path).call(hook, news())
    assert receiver.got == []


async def test_a_url_that_is_a_secret_comes_from_a_file_and_is_never_said(receiver: Receiver, tmp_path: Path) -> None:
    (tmp_path / "chat.url").write_text(f"{receiver.url}\n")
    hook, caller = Hook(name="chat", url_file="chat.url"), SystemHookCaller(tmp_path)
    assert await caller.call(hook, news()) == ""
    receiver.status, receiver.answer = 404, "no_team"
    said = [await caller.call(hook, news()), await caller.call(Hook(name="chat", url=receiver.url), news())]
    (tmp_path / "chat.url").write_text("nonsense SECRET")
    said.append(await caller.call(hook, news()))
    said.append(await caller.call(Hook(name="chat", url=f"http://127.0.0.1:9{SECRET_PATH}"), news()))
    assert "answered 404: no_team" in said[0]
    assert all(said)
    assert not any("SECRET" in problem for problem in said)


async def test_a_redirection_is_not_followed(receiver: Receiver, tmp_path: Path) -> None:
    receiver.status, receiver.location = 302, f"http://{receiver.address}/elsewhere"
    assert "answered 302" in await SystemHookCaller(tmp_path).call(Hook(name="chat", url=receiver.url), news())
    assert len(receiver.got) == 1


async def test_of_a_long_answer_a_little_is_kept(receiver: Receiver, tmp_path: Path) -> None:
    receiver.status, receiver.answer = 500, "x" * 5_000_000
    problem = await SystemHookCaller(tmp_path).call(Hook(name="chat", url=receiver.url), news())
    assert "answered 500: xxx" in problem
    assert len(problem) < 1000


async def test_a_program_has_the_event_in_its_environment_and_nothing_of_the_coordinators(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HUBFED_ROLE", "coordinator")
    monkeypatch.setenv("ETCD_PASSWORD", "planted")
    script = f"import json, os; json.dump(dict(os.environ), open({str(tmp_path / 'env')!r}, 'w'))"
    hook = Hook(name="mail", command=(sys.executable, "-c", script))
    assert await SystemHookCaller(tmp_path).call(hook, news()) == ""
    env = json.loads((tmp_path / "env").read_text())
    assert env["HUBFED_EVENT_EVENT"] == "takeover"
    assert env["HUBFED_EVENT_TURN"] == "begun"
    assert env["HUBFED_EVENT_CLASSROOM"] == "atm101"
    assert env["HUBFED_EVENT_ID"] == "atm101-abc123/0001-aa"
    assert "HUBFED_ROLE" not in env
    assert "planted" not in env.values()


def test_the_environment_of_a_program_is_bounded() -> None:
    call = Call("k", b"{}", {"message": "y\0" * 100_000})
    value = environment(call, {})["HUBFED_EVENT_MESSAGE"]
    assert len(value) < 10_000
    assert "\0" not in value


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys; sys.exit(3)", "ended with 3"),
        ("import sys; sys.exit('no route to mail')", "ended with 1: no route to mail"),
        ("import os; os.kill(os.getpid(), 9)", "ended by signal 9"),
        ("import sys; sys.stdin.close(); print('x' * 9_000_000); sys.exit(1)", "ended with 1: xxx"),
    ],
)
async def test_how_a_program_ended_is_said_in_few_words(script: str, words: str, tmp_path: Path) -> None:
    problem = await SystemHookCaller(tmp_path).call(Hook(name="mail", command=(sys.executable, "-c", script)), news())
    assert words in problem
    assert len(problem) < 1000


async def test_the_example_that_sends_mail_sends_one_that_repetitions_can_be_told_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/words\ncat > {tmp_path}/mail\n')
    sendmail.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program = str(Path(__file__).parents[2] / "configs/hooks/mail-federation")
    hook = Hook(name="mail", command=(program, "ops@example.edu", "prof@example.edu"))
    assert await SystemHookCaller(tmp_path).call(hook, news()) == ""
    mail = message_from_string((tmp_path / "mail").read_text())
    assert (tmp_path / "words").read_text().split() == ["-i", "-t"]
    assert mail["To"] == "ops@example.edu, prof@example.edu"
    assert mail["Subject"] == "hubs: takeover begun atm101"
    assert mail["Message-ID"] == "<atm101-abc123.0001-aa@hubfed>"
    assert "atm101 is to be taken over by another site: iu is silent" in str(mail.get_payload())
    assert "usage" in await SystemHookCaller(tmp_path).call(Hook(name="mail", command=(program,)), news())


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    hook = Hook(name="mail", command=(str(tmp_path / "gone"),))
    assert (
        await SystemHookCaller(tmp_path).call(hook, news())
        == f"cannot start {tmp_path}/gone: No such file or directory"
    )


async def test_after_the_deadline_nothing_of_a_program_is_left(tmp_path: Path) -> None:
    """It writes without end, and so does its child."""
    script = (
        "import os, pathlib, sys\n"
        f"pid = os.fork()\nopen({str(tmp_path)!r} + f'/{{os.getpid()}}.pid', 'w').close()\n"
        "while True: sys.stdout.write('x' * 1000)\n"
    )
    hook = Hook(name="mail", command=(sys.executable, "-c", script), timeout_s=1.0)
    began = time.monotonic()
    assert "1 s" in await SystemHookCaller(tmp_path).call(hook, news())
    assert time.monotonic() - began < 5
    pids = [int(path.stem) for path in tmp_path.glob("*.pid")]
    assert len(pids) == 2
    deadline = time.monotonic() + 5
    while any(_lives(pid) for pid in pids) and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    assert not any(_lives(pid) for pid in pids)


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
