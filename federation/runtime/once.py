"""What is looked for once, by whoever needs it first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


def once(make: Callable[[], Awaitable[T]]) -> Callable[[], Awaitable[T]]:
    """Remember the first success; callers meanwhile wait for it, a failure is tried again by the next."""
    lock = asyncio.Lock()
    made: list[T] = []

    async def get() -> T:
        async with lock:
            if not made:
                made.append(await make())
            return made[0]

    return get
