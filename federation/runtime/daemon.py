"""What every daemon does around its work: signals, exit codes, and one sentence instead of a traceback."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from federation.model.errors import CATALOGUE, ExitCode, FederationError, OldIncarnation
from federation.model.site_file import TlsPaths
from federation.runtime.tls import TlsFiles

EXIT_SUPERSEDED = 77
"""A newer agent speaks for the site: systemd must not start this one again (RestartPreventExitStatus)."""
LAST_RESORT_S = 20.0

log = structlog.get_logger(__name__)


def run_daemon(work: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    """Run until SIGTERM or SIGINT sets the event; returns the exit code. If stopping hangs, the process is ended hard,
    so that its supervisor always gets a fresh start."""
    try:
        asyncio.run(_until_signalled(work))
    except OldIncarnation as error:
        log.warning("daemon.superseded", error=error.message)
        return EXIT_SUPERSEDED
    except FederationError as error:
        sys.stderr.write(f"error: {error.message}\n{error.help}\n")
        return int(CATALOGUE[error.code].exit_code)
    except ExceptionGroup as group:
        log.exception("daemon.failed", error=str(group))
        return int(ExitCode.FAILED)
    return int(ExitCode.OK)


async def _until_signalled(work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stopping() -> None:
        stop.set()
        loop.call_later(LAST_RESORT_S, os._exit, int(ExitCode.FAILED))

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping)
    await work(stop)


def tls_files(paths: TlsPaths, folder: Path) -> TlsFiles:
    """Relative paths start at the folder of the file that names them."""
    return TlsFiles(folder / paths.ca, folder / paths.cert, folder / paths.key)
