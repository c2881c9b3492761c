"""One short program: input, a deadline, and output that is read to its end and kept only in part. No shell.

For what an admin lets us call (hooks). It may write without end and leave children behind: after the deadline everything
in its session is killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import Mapping
from contextlib import suppress

from federation.model.errors import DeadlineExceeded, Unavailable
from federation.runtime.processes import Finished

MOST_OUTPUT_BYTES = 2000
CHUNK_BYTES = 1 << 16


async def run_command(argv: tuple[str, ...], given: bytes, env: Mapping[str, str], *, limit_s: float) -> Finished:
    """Run it to its end with `given` on standard input; `env` is its whole environment. The output is the first of both
    streams together. Unavailable if it cannot be started, DeadlineExceeded if it was killed."""
    try:
        child = await asyncio.create_subprocess_exec(
            *argv, stdin=PIPE, stdout=PIPE, stderr=STDOUT, env=dict(env), start_new_session=True
        )
    except OSError as error:
        raise Unavailable(f"cannot start {argv[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(limit_s):
            output = await _talk(child, given)
            return Finished(await child.wait(), output.decode(errors="replace"))
    except TimeoutError as error:
        raise DeadlineExceeded(f"{argv[0]} did not end within {limit_s:g} s") from error
    finally:
        if child.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            await child.wait()


async def _talk(child: Process, given: bytes) -> bytes:
    kept = bytearray()
    if child.stdin is None or child.stdout is None:
        return b""
    with suppress(BrokenPipeError, ConnectionResetError):  # it need not read what it is told
        child.stdin.write(given)
        await child.stdin.drain()
    child.stdin.close()
    while chunk := await child.stdout.read(CHUNK_BYTES):
        kept += chunk[: MOST_OUTPUT_BYTES - len(kept)]
    return bytes(kept)
