"""Work on files that blocks, in a thread: waited for to its end even when its caller is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from federation.model.errors import DriverError

T = TypeVar("T")


async def blocking(work: Callable[..., T], *arguments: object) -> T:
    """Run it; OSError becomes DriverError. A thread cannot be stopped: whoever holds a lock around it must not let go
    while it still writes, so a cancellation comes only after it."""
    doing = asyncio.get_running_loop().run_in_executor(None, work, *arguments)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise
    except OSError as error:
        what = f": {error.filename}" if error.filename else ""
        raise DriverError(f"{error.strerror or error}{what}") from error
