"""What a copy of homes costs: `python -m tests.bench.copies` prints a table. On a folder of this machine's disk."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections.abc import Awaitable, Callable

from agents.drivers.base import CopyRef
from tests.support.copies_bench import HUB, SECRET, LocalCopiesBench, directory_bench
from tests.support.local_site import E1, E2

HOMES, FILES, SIZE = 100, 200, 2048
RUNS = 3


async def costs(homes: int = HOMES, files: int = FILES) -> list[str]:
    """Rows of a table: wall and CPU (restic's and the agent's) of each call."""
    rows = ["| what | wall s | CPU s of restic | CPU s of the agent |", "| --- | --- | --- | --- |"]
    async with directory_bench(None) as bench:
        await bench.drivers("iu").homes.ensure(HUB, E1)
        await asyncio.to_thread(_fill, bench, homes, files)
        iu, tacc = bench.copies("iu"), bench.copies("tacc")

        async def save() -> str:
            return (await iu.save(HUB, E1, SECRET, run="bench")).snapshot

        rows.append(await _row(f"first save of {homes} homes of {files} files", save))
        rows += [await _row("save, nothing changed", save) for _ in range(RUNS)]
        bench.write("iu", {f"s{n:03}/file0": os.urandom(SIZE) for n in range(homes // 10)})
        rows.append(await _row("save, one file in each tenth home changed", save))
        copy = CopyRef("iu", HUB, await save())
        rows.append(await _row("look from the other site, first", lambda: tacc.look(copy, SECRET)))
        rows.append(await _row("look again", lambda: tacc.look(copy, SECRET)))
        rows.append(await _row("list", lambda: tacc.list("iu", HUB, SECRET)))
        rows.append(await _row("restore of all", lambda: tacc.restore(copy, E2, SECRET)))
        rows.append(await _row("restore of one home aside", lambda: tacc.restore_aside(copy, "s000", "back", SECRET)))
    return rows


def _fill(bench: LocalCopiesBench, homes: int, files: int) -> None:
    for n in range(homes):
        bench.write("iu", {f"s{n:03}/file{m}": os.urandom(SIZE) for m in range(files)})


async def _row(what: str, call: Callable[[], Awaitable[object]]) -> str:
    began, others, own = time.perf_counter(), _cpu(resource.RUSAGE_CHILDREN), _cpu(resource.RUSAGE_SELF)
    await call()
    wall = time.perf_counter() - began
    others, own = _cpu(resource.RUSAGE_CHILDREN) - others, _cpu(resource.RUSAGE_SELF) - own
    return f"| {what} | {wall:.2f} | {others:.2f} | {own:.2f} |"


def _cpu(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    print("\n".join(asyncio.run(costs(*(int(word) for word in sys.argv[1:])))))
