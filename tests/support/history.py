"""The checker of histories: what agents recorded, judged after every end-to-end test (PROTOCOL.md section 8).

Events carry CLOCK_BOOTTIME of the one machine that all sites share in these tests, so intervals can be compared.
`tests/unit/test_history.py` plants violations and sees them found.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: grant, revoke, start, open, close or stop of a hub at a site."""

    at_ns: int
    site: str
    event: str
    hub: str
    epoch: Pair


def read_history(logs: Iterable[Path]) -> list[Entry]:
    """From the agents' logs, in order of time. The site is in the log's name; a line that is being written is left out."""
    entries = []
    for log in logs:
        site = log.stem.removeprefix("agent-")
        text = log.read_text(errors="replace")
        for line in text[: text.rfind("\n") + 1].splitlines():
            if '"history.' not in line:
                continue
            fields = json.loads(line)
            era, _, n = fields["epoch"].partition(".")
            pair = (int(era), int(n)) if n else (0, 0)
            entries.append(Entry(fields["at_ns"], site, fields["event"].removeprefix("history."), fields["hub"], pair))
    return sorted(entries, key=lambda e: e.at_ns)


def judge(history: Iterable[Entry]) -> list[str]:
    """Every violation, in words; an empty list if there is none."""
    found: list[str] = []
    granted: dict[tuple[str, str], set[Pair]] = {}
    highest: dict[str, tuple[Pair, str]] = {}
    running: dict[str, str] = {}
    opened: dict[str, str] = {}
    for e in history:
        where = (e.site, e.hub)
        if e.event == "grant":
            granted.setdefault(where, set()).add(e.epoch)
            before, owner = highest.get(e.hub, ((0, 0), e.site))
            if e.epoch < before or (e.epoch == before and owner != e.site):
                found.append(f"{e.hub}: granted to {e.site} at {e.epoch} after {before} at {owner}")
            highest[e.hub] = max((before, owner), (e.epoch, e.site), key=lambda pair: pair[0])
        elif e.event == "revoke":
            granted.pop(where, None)
        elif e.event in ("start", "open"):
            if e.epoch not in granted.get(where, set()):
                found.append(f"{e.hub}: {e.event} at {e.site} at {e.epoch} without a grant")
            table = running if e.event == "start" else opened
            other = table.get(e.hub)
            if other is not None and other != e.site:
                found.append(f"{e.hub}: {e.event} at {e.site} while it was at {other}: two copies")
            table[e.hub] = e.site
        elif e.event == "stop" and running.get(e.hub) == e.site:
            del running[e.hub]
            opened.pop(e.hub, None)
        elif e.event == "close" and opened.get(e.hub) == e.site:
            del opened[e.hub]
    return found
