"""One short program: input, a deadline, and output that is read to its end and kept only in part. No shell.

For what an admin lets us call (hooks), and for programs whose answer is wanted (Helm). It may write without end and leave
children behind: after the deadline everything in its session is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from federation.model.errors import DeadlineExceeded, Unavailable
from federation.runtime.processes import Finished

MOST_OUTPUT_BYTES = 2000
BURIAL_S = 2.0  # what was killed is waited for so long


@dataclass(frozen=True, slots=True)
class Answered:
    """How a program ended whose two streams are told apart; `code` is the signal's, negative, if one ended it."""

    code: int
    out: bytes
    err: bytes


class _Talk(asyncio.SubprocessProtocol):
    """Keeps the first of each stream. `ended`: it has exited, and nobody holds its output open any more."""

    def __init__(self, most: int) -> None:
        loop = asyncio.get_running_loop()
        self._most = most
        self.kept = {1: bytearray(), 2: bytearray()}
        self.exited: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.kept[fd] += data[: self._most - len(self.kept[fd])]

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended is its exit code
        if not self.ended.done():
            self.ended.set_result(None)


async def run_command(argv: tuple[str, ...], given: bytes, env: Mapping[str, str], *, limit_s: float) -> Finished:
    """Run it to its end with `given` on standard input; `env` is its whole environment. The output is the first of both
    streams together. Unavailable if it cannot be started, DeadlineExceeded if it was killed."""
    said = await _run(argv, given, env, _Limits(limit_s, MOST_OUTPUT_BYTES), STDOUT)
    return Finished(said.code, said.out.decode(errors="replace"))


async def ask_command(
    argv: tuple[str, ...], given: bytes, env: Mapping[str, str], *, limit_s: float, grace_s: float, most_bytes: int
) -> Answered:
    """The same, with the first `most_bytes` of each stream apart. At the deadline, or if nobody waits any more, its session
    is asked to end (SIGTERM) and killed after `grace_s`."""
    return await _run(argv, given, env, _Limits(limit_s, most_bytes, grace_s), PIPE)


@dataclass(frozen=True, slots=True)
class _Limits:
    limit_s: float
    most_bytes: int
    grace_s: float = 0.0


async def _run(argv: tuple[str, ...], given: bytes, env: Mapping[str, str], limits: _Limits, stderr: int) -> Answered:
    loop, words = asyncio.get_running_loop(), dict(env)
    try:
        started = await loop.subprocess_exec(
            lambda: _Talk(limits.most_bytes),
            *argv, stdin=PIPE, stdout=PIPE, stderr=stderr, env=words, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Unavailable(f"cannot start {argv[0]}: {error.strerror}") from error
    transport, talk = started
    try:
        async with asyncio.timeout(limits.limit_s):
            given_to: Any = transport.get_pipe_transport(0)
            given_to.write(given)  # it need not read it
            given_to.close()
            await asyncio.shield(talk.ended)  # else the deadline would end the future, and not what runs
            return Answered(transport.get_returncode() or 0, bytes(talk.kept[1]), bytes(talk.kept[2]))
    except TimeoutError as error:
        raise DeadlineExceeded(f"{argv[0]} did not end within {limits.limit_s:g} s") from error
    finally:
        try:
            if not talk.ended.done():
                await _end(transport, talk, limits.grace_s)
        finally:
            transport.close()


async def _end(transport: asyncio.SubprocessTransport, talk: _Talk, grace_s: float) -> None:
    try:
        if grace_s:
            _signal(transport, signal.SIGTERM)
            await _wait(talk.ended, grace_s)
    finally:  # also if whoever waits has lost patience a second time
        if not talk.ended.done():
            _signal(transport, signal.SIGKILL)
        await _wait(talk.exited, BURIAL_S)


def _signal(transport: asyncio.SubprocessTransport, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(transport.get_pid(), number)


async def _wait(what: asyncio.Future[None], limit_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await asyncio.shield(what)
