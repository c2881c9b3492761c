"""What an outage costs a class, on real processes: RTO, RPO and overlap for a kill, a freeze and a planned move.

A student saves a number every half second while an onlooker asks both edges twenty times a second. RTO: from the fault to
the first login page under the class's name at the other site. RPO: the age, at the fault, of the newest number that is
there afterwards. Away (planned move): between the last login page here and the first one there.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from tests.support.federation import Federation, federation, until
from tests.support.onlooker import Onlooker
from tests.support.takeover import edges, site_of, wait_until_armed

STEPS = ("admitted", "owned", "started", "verified", "named")
OTHER = {"iu": "tacc", "tacc": "iu"}
KINDS = ("kill", "freeze", "move")
EVERY_MINUTE = {"type": "dynamic", "protect": {"every": "1m"}}  # so that a copy falls into each run


@dataclass
class Writer:
    """A student who never stops saving; `saved` has (monotonic seconds, number) of what was acknowledged."""

    here: Federation
    name: str
    word: str
    number: int = 0
    saved: list[tuple[float, int]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._stop.clear()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._write()), daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(90)

    async def _write(self) -> None:
        async with self.here.student(self.name) as one:
            await one.sign_in(self.word)
            await one.start_server()
            while not self._stop.is_set():
                self.number += 1
                try:
                    async with asyncio.timeout(2):
                        await one.save("count.txt", str(self.number))
                    self.saved.append((time.monotonic(), self.number))
                except Exception:  # noqa: BLE001 - whatever an outage looks like to a browser
                    return
                await asyncio.sleep(0.5)

    def read(self) -> int:
        async def look() -> int:
            async with self.here.student(self.name) as one:
                await one.sign_in(self.word)
                await one.start_server()
                return int(await one.read("count.txt"))

        return asyncio.run(look())


@dataclass
class Found:
    """Seconds of all runs of one kind."""

    rto: list[float] = field(default_factory=list)
    rpo: list[float] = field(default_factory=list)
    overlap: list[float] = field(default_factory=list)
    phases: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))


def failover(runs: int) -> list[str]:
    """The page's lines: one row per kind, and where the time of a kill goes."""
    found: dict[str, Found] = {kind: Found() for kind in KINDS}
    with federation() as here:
        for turn in range(runs):
            for kind in KINDS:
                print(f"bench: failover, {kind} {turn + 1} of {runs}", flush=True)
                name = f"{kind}{turn}"  # a class is moved by itself once an hour at most
                with here.placed(name, storage=EVERY_MINUTE) as word:
                    _one(here, Writer(here, name, word), kind, found[kind])
    return _lines(found, runs)


def _one(here: Federation, writer: Writer, kind: str, found: Found) -> None:
    name = writer.name
    site = site_of(here, name)
    other = OTHER[site]
    wait_until_armed(here, name, site)
    writer.start()
    until(lambda: len(writer.saved) > 3, "the student saves", 90, here.logs)
    before = _fresh(here, name)
    until(lambda: _fresh(here, name) != before, "what was saved is copied", 120, here.logs)
    time.sleep(9 * (len(found.rto) % 6))  # the newest copy is not always of the same age
    began_at = datetime.now().astimezone()
    with Onlooker(edges(here), f"{name}.localhost") as onlooker:
        time.sleep(1.0)
        began = time.monotonic()
        if kind == "move":
            here.fedctl("move", name, "--to", other, "--drain", "1", limit_s=300)
        else:
            here.lab(kind, site)
            until(lambda: site_of_or_nothing(here, name) == other, f"{other} takes over", 120, here.logs)
        until(lambda: here.serves(name) and here.login_page(name), "it serves", 120, here.logs)
    writer.end()
    there = [look.answered for look in onlooker.served(other)]
    first = min(there)
    last_here = max(look.answered for look in onlooker.served(site))
    found.rto.append(first - (last_here if kind == "move" else began))
    found.overlap.append(max(0.0, sum(0.05 for _look in onlooker.overlap(site, other))))
    kept = writer.read()
    fault = last_here if kind == "move" else began
    known = [at for at, number in writer.saved if number <= kept]
    acknowledged = [at for at, _number in writer.saved if at <= fault]
    newest, last = max(known, default=fault), max(acknowledged, default=fault)
    found.rpo.append(max(0.0, last - newest))
    history = here.hub(name)["status"]["operation"]["history"]
    for step in history:
        if step["step"] in STEPS:
            at = datetime.fromisoformat(step["at"])
            found.phases[step["step"]].append((at - began_at).total_seconds() - 1.0)
    if kind != "move":
        here.lab("heal", site)
        until(lambda: here.condition(name, "PeerClean") == "True", f"{site} confirms that it closed", 120, here.logs)


def site_of_or_nothing(here: Federation, name: str) -> str:
    """Whose it is; empty while no coordinator answers."""
    answer = here.fedctl("get", name, "-o", "json", ok=False)
    if answer.code:
        return ""
    return str(json.loads(answer.out)["status"]["site"])


def _fresh(here: Federation, name: str) -> str:
    """Which copy counts now."""
    conditions = here.hub(name)["status"]["conditions"]
    return next((str(c["message"]) for c in conditions if c["type"] == "DataFresh"), "")


def _lines(found: dict[str, Found], runs: int) -> list[str]:
    words = {"kill": "a site dies", "freeze": "a site freezes (cut off, and hung)", "move": "a planned move (away)"}
    head = ("fault", "runs", "RTO p50 / p95 / most", "RPO p50 / p95 / most", "two copies seen")
    lines = [f"| {' | '.join(head)} |", "| --- | --- | --- | --- | --- |"]
    for kind, one in found.items():
        overlap = f"{max(one.overlap, default=0):.0f} s"
        lines.append(f"| {words[kind]} | {len(one.rto)} | {_spread(one.rto)} | {_spread(one.rpo)} | {overlap} |")
    kill = found["kill"].phases
    lines += ["", "Where the time of a dead site goes, seconds after its death (medians):", ""]
    lines += ["| step | after |", "| --- | --- |"]
    lines += [f"| {step} | {statistics.median(kill[step]):.1f} s |" for step in STEPS if kill[step]]
    lines += ["", f"{runs} runs of each kind, in turns; profile `lab` (L = 15 s), copies every minute, one student who"]
    lines[-1] += " saves twice a second. RPO is bounded by the age of the newest copy, so by `storage.protect.every`."
    return lines


def _spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    if not ordered:
        return "-"
    p95 = ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]
    return f"{statistics.median(ordered):.1f} / {p95:.1f} / {ordered[-1]:.1f} s"
