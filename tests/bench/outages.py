"""One outage, or one planned move, under several classes at once: what each class loses.

In every class a student saves a number twice a second, while an onlooker asks both edges ten times a second. RTO: from the
fault to the first login page at the other site, and until the class's name leads there. RPO: how much older, at the fault,
the newest number is that is there afterwards than the newest that was acknowledged. Away (planned move): between the last
login page here and the first one there.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from tests.bench.quiet import Quiet
from tests.support.federation import Federation, until
from tests.support.onlooker import Onlooker
from tests.support.takeover import wait_until_armed

STEPS = ("admitted", "owned", "started", "verified", "named")
OTHER = {"iu": "tacc", "tacc": "iu"}
EVERY_MINUTE = {"type": "dynamic", "protect": {"every": "1m"}}  # so that a copy falls into each run
ONLOOKER_S = 0.1
SAVE_LIMIT_S = 2.0
SELDOM_S = (
    2.0  # whoever waits asks so often: each call of fedctl takes from what is measured, also by the other federation
)


class Faults(Protocol):
    """A federation that can be hurt."""

    @property
    def here(self) -> Federation: ...

    @property
    def quiet(self) -> Quiet: ...

    def fault(self, kind: str, site: str) -> None:
        """The site dies, freezes, or is cut off."""
        ...

    def mend(self, site: str) -> None:
        """All is as before."""
        ...

    def without_coordinator(self, place: str) -> AbstractContextManager[None]:
        """Meanwhile the coordinator there cannot lead."""
        ...

    def watched(self, name: str, site: str) -> AbstractContextManager[tuple[Onlooker, Onlooker]]:
        """The class as seen at the edge of `site` from near it, and at the other site's from where students are."""
        ...


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
        self._thread = threading.Thread(target=lambda: self.here.in_the_office(self._write), daemon=True)
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
                    async with asyncio.timeout(SAVE_LIMIT_S):
                        await one.save("count.txt", str(self.number))
                    self.saved.append((time.monotonic(), self.number))
                except Exception:  # noqa: BLE001 - whatever an outage looks like to a browser
                    return
                await asyncio.sleep(0.5)

    def read(self) -> int:
        """The newest number that is there; 0 if the file was copied in the moment in which it was being written, empty."""

        async def look() -> int:
            async with self.here.student(self.name) as one:
                await one.sign_in(self.word)
                await one.start_server()
                return int(await one.read("count.txt") or 0)

        return self.here.in_the_office(look)


@dataclass(frozen=True, slots=True)
class Loss:
    """What one class lost, in seconds. `phases`: when each step of its operation was done, after the fault."""

    rto: float
    rpo: float
    overlap: float
    phases: dict[str, float]


@dataclass
class Watched:
    """One class under fault."""

    writer: Writer
    near: Onlooker
    there: Onlooker
    site: str

    def loss(self, fault: float, fault_at: datetime, *, planned: bool) -> Loss:
        here, other = self.writer.here, OTHER[self.site]
        first = min(look.answered for look in self.there.served(other))
        last = max(look.answered for look in self.near.served(self.site))
        asked_first = min(look.asked for look in self.there.served(other))
        kept, began = self.writer.read(), last if planned else fault
        known = [at for at, number in self.writer.saved if number <= kept]
        acknowledged = [at for at, _number in self.writer.saved if at <= began]
        newest = max(known, default=self.writer.saved[0][0])
        at_fault = max(acknowledged, default=began)
        steps = here.hub(self.writer.name)["status"]["operation"]["history"]
        phases = {
            step["step"]: (datetime.fromisoformat(step["at"]) - fault_at).total_seconds()
            for step in steps
            if step["step"] in STEPS
        }
        return Loss(first - began, max(0.0, at_fault - newest), max(0.0, last - asked_first), phases)


@contextmanager
def working(faults: Faults, words: dict[str, str], site: str) -> Iterator[list[Writer]]:
    """Students at work in these classes (name -> password), armed at the site, with a copy of what they save."""
    here = faults.here
    for name in words:
        wait_until_armed(here, name, site, SELDOM_S)
    writers = [Writer(here, name, word) for name, word in words.items()]
    try:
        with faults.quiet.busy():
            for writer in writers:
                writer.start()
            for writer in writers:
                until(lambda: len(writer.saved) > 3, "the student saves", 90, here.logs)  # noqa: B023 - called at once
        before = {writer.name: fresh(here, writer.name) for writer in writers}
        for writer in writers:
            copied = lambda: fresh(here, writer.name) != before[writer.name]  # noqa: B023, E731 - called at once
            until(copied, "it is copied", 120, here.logs, SELDOM_S)
        yield writers
    finally:
        for writer in writers:
            writer.end()


def outage(faults: Faults, kind: str, site: str, words: dict[str, str], wait_s: float) -> list[Loss]:
    """The site is lost `wait_s` after the newest copy, is mended when all classes serve at the other one, and confirms."""
    here, other = faults.here, OTHER[site]
    with working(faults, words, site) as writers, ExitStack() as stack:
        watched = [Watched(writer, *stack.enter_context(faults.watched(writer.name, site)), site) for writer in writers]
        time.sleep(wait_s)
        with faults.quiet.measured():
            fault, fault_at = time.monotonic(), datetime.now().astimezone()
            faults.fault(kind, site)
            try:
                wait_until_served(here, list(words), other)
            finally:
                faults.mend(site)
    with faults.quiet.busy():
        for name in words:
            clean = lambda: here.condition(name, "PeerClean") == "True"  # noqa: B023, E731 - called at once
            until(clean, f"{site} confirms", 120, here.logs, SELDOM_S)
        return [one.loss(fault, fault_at, planned=False) for one in watched]


def moved(faults: Faults, site: str, words: dict[str, str]) -> list[Loss]:
    """The classes are moved to the other site, one after the other, while their students work."""
    here, other, losses = faults.here, OTHER[site], []
    with working(faults, words, site) as writers:
        for writer in writers:
            with faults.quiet.measured(), faults.watched(writer.name, site) as (near, there):
                at, began = datetime.now().astimezone(), time.monotonic()
                here.fedctl("move", writer.name, "--to", other, "--drain", "1", limit_s=300)
                wait_until_served(here, [writer.name], other)
            with faults.quiet.busy():
                writer.end()
                losses.append(Watched(writer, near, there, site).loss(began, at, planned=True))
    return losses


def wait_until_served(here: Federation, names: Sequence[str], site: str) -> None:
    """By this site, and under their names."""
    for name in names:
        said = f"{site} takes {name} over"
        until(lambda: site_or_nothing(here, name) == site, said, 150, here.logs, SELDOM_S)  # noqa: B023
    for name in names:
        serves = lambda: here.serves(name) and here.login_page(name)  # noqa: B023, E731 - called at once
        until(serves, f"{name} serves", 120, here.logs, SELDOM_S)


def site_or_nothing(here: Federation, name: str) -> str:
    """Whose it is; empty while no coordinator answers."""
    answer = here.fedctl("get", name, "-o", "json", ok=False)
    return "" if answer.code else str(json.loads(answer.out)["status"]["site"])


def fresh(here: Federation, name: str) -> str:
    """Which copy counts now."""
    conditions = here.hub(name)["status"]["conditions"]
    return next((str(c["message"]) for c in conditions if c["type"] == "DataFresh"), "")
