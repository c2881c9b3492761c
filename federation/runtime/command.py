"""One short program: input, a deadline, and output that is read to its end and kept only in part. No shell.

For what an admin lets us call (hooks). It may write without end and leave children behind: after the deadline everything
in its session is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from federation.model.errors import DeadlineExceeded, Unavailable
from federation.runtime.processes import Finished

MOST_OUTPUT_BYTES = 2000
BURIAL_S = 2.0  # what was killed is waited for so long


class _Talk(asyncio.SubprocessProtocol):
    """Keeps the first of both streams. `ended`: it has exited, and nobody holds its output open any more."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.kept = bytearray()
        self.exited: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002 - there is one output
        self.kept += data[: MOST_OUTPUT_BYTES - len(self.kept)]

    def process_exited(self) -> None:
        if not self.exited.done():
            self.exited.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - how it ended is its exit code
        if not self.ended.done():
            self.ended.set_result(None)


async def run_command(argv: tuple[str, ...], given: bytes, env: Mapping[str, str], *, limit_s: float) -> Finished:
    """Run it to its end with `given` on standard input; `env` is its whole environment. The output is the first of both
    streams together. Unavailable if it cannot be started, DeadlineExceeded if it was killed."""
    loop, words = asyncio.get_running_loop(), dict(env)
    try:
        started = await loop.subprocess_exec(
            _Talk, *argv, stdin=PIPE, stdout=PIPE, stderr=STDOUT, env=words, start_new_session=True
        )
    except OSError as error:
        raise Unavailable(f"cannot start {argv[0]}: {error.strerror}") from error
    transport, talk = started
    try:
        async with asyncio.timeout(limit_s):
            given_to: Any = transport.get_pipe_transport(0)
            given_to.write(given)  # it need not read it
            given_to.close()
            await asyncio.shield(talk.ended)  # else the deadline would end the future, and not what runs
            return Finished(transport.get_returncode() or 0, talk.kept.decode(errors="replace"))
    except TimeoutError as error:
        raise DeadlineExceeded(f"{argv[0]} did not end within {limit_s:g} s") from error
    finally:
        if not talk.ended.done():
            await _kill(transport, talk)
        transport.close()


async def _kill(transport: asyncio.SubprocessTransport, talk: _Talk) -> None:
    with suppress(ProcessLookupError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(BURIAL_S):
            await asyncio.shield(talk.exited)
