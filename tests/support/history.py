"""The checker of histories: what agents and fencers recorded, judged after every end-to-end test (PROTOCOL.md section 8).

Events carry CLOCK_BOOTTIME of the one machine that all sites share in these tests, so intervals can be compared.
`tests/unit/test_history.py` plants violations and sees them found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from federation.core.fencing import canary_of

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: grant, revoke, start, open, close, stop or release of a hub at a site; fenced: stopped by the fencer;
    killed, frozen: the whole site died or stands still (no hub is named). Of what stands still and thaws later only the
    gate is kept shut in time (docs/explanation/failover.md), and that is for whoever looks from outside to see.
    lost power: it died, and when it boots nothing that it was granted before counts."""

    at_ns: int
    site: str
    event: str
    hub: str
    epoch: Pair


def read_history(logs: Iterable[Path]) -> list[Entry]:
    """From the logs of agents and fencers, in order of time. The site is in the log's name; a line that is being written is
    left out, and so are canaries: they are no class."""
    entries = []
    for log in logs:
        site = log.stem.removeprefix("agent-").removeprefix("fencer-")
        text = log.read_text(errors="replace")
        for line in text[: text.rfind("\n") + 1].splitlines():
            if '"history.' not in line:
                continue
            fields = json.loads(line)
            if fields["hub"] == canary_of(site):
                continue
            era, _, n = fields["epoch"].partition(".")
            pair = (int(era), int(n)) if n else (0, 0)
            entries.append(Entry(fields["at_ns"], site, fields["event"].removeprefix("history."), fields["hub"], pair))
    return sorted(entries, key=lambda e: e.at_ns)


def judge(history: Iterable[Entry]) -> list[str]:
    """Every violation, in words; an empty list if there is none."""
    state = _State()
    for entry in history:
        state.take(entry)
    return state.found


@dataclass
class _State:
    """What is granted, running and open where, as far as the history has been read."""

    found: list[str] = field(default_factory=list)
    granted: dict[tuple[str, str], set[Pair]] = field(default_factory=dict)
    highest: dict[str, tuple[Pair, str]] = field(default_factory=dict)
    running: dict[str, str] = field(default_factory=dict)
    opened: dict[str, str] = field(default_factory=dict)
    released: dict[tuple[str, str], Pair] = field(default_factory=dict)

    def take(self, e: Entry) -> None:  # noqa: C901 - one table
        where = (e.site, e.hub)
        match e.event:
            case "grant":
                self._grant(e)
            case "revoke":
                self.granted.pop(where, None)
            case "start":
                self._begin(e, self.running)
            case "open":
                self._begin(e, self.opened)
            case "close":
                _end(self.opened, e)
            case "stop" | "fenced":
                _end(self.running, e)
                _end(self.opened, e)
            case "release":
                self.released[where] = e.epoch
                if self.running.get(e.hub) == e.site or self.opened.get(e.hub) == e.site:
                    self.found.append(f"{e.hub}: released by {e.site} at {e.epoch} while it was there")
            case "killed" | "frozen" | "lost power":
                for table in (self.running, self.opened):
                    for hub in [hub for hub, site in table.items() if site == e.site]:
                        del table[hub]
                if e.event == "lost power":
                    self.granted = {known: epochs for known, epochs in self.granted.items() if known[0] != e.site}

    def _grant(self, e: Entry) -> None:
        self.granted.setdefault((e.site, e.hub), set()).add(e.epoch)
        before, owner = self.highest.get(e.hub, ((0, 0), e.site))
        if e.epoch < before or (e.epoch == before and owner != e.site):
            self.found.append(f"{e.hub}: granted to {e.site} at {e.epoch} after {before} at {owner}")
        self.highest[e.hub] = max((before, owner), (e.epoch, e.site), key=lambda pair: pair[0])

    def _begin(self, e: Entry, table: dict[str, str]) -> None:
        if e.epoch not in self.granted.get((e.site, e.hub), set()):
            self.found.append(f"{e.hub}: {e.event} at {e.site} at {e.epoch} without a grant")
        if e.epoch <= self.released.get((e.site, e.hub), (0, 0)):
            self.found.append(f"{e.hub}: {e.event} at {e.site} at {e.epoch}, which it had given up")
        other = table.get(e.hub)
        if other is not None and other != e.site:
            self.found.append(f"{e.hub}: {e.event} at {e.site} while it was at {other}: two copies")
        table[e.hub] = e.site


def _end(table: dict[str, str], e: Entry) -> None:
    if table.get(e.hub) == e.site:
        del table[e.hub]
