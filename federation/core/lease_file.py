"""The content of the lease file, read strictly: the one reading of it in Python (PROTOCOL.md section 4).

The agent writes it, the edge and the fencer read it; the edge has a twin of this in JavaScript
(`federation/runtime/proxy/gate.mjs`). Standard library alone, for the fencer has to stay small: epochs are bare pairs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Permit:
    """One hub's entry; times are CLOCK_BOOTTIME ns. None: no deadline within this boot (a standing hub)."""

    epoch: Pair  # (era, n)
    close_at: int | None  # from here on no user may reach it
    stop_by: int | None  # from here on none of it may run


@dataclass(frozen=True, slots=True)
class LeaseFile:
    """A whole file. `order` is (incarnation, seq): what is lower than what was read before is out of date."""

    boot_id: str
    order: Pair
    permits: Mapping[str, Permit]


def read_lease(content: bytes) -> LeaseFile:
    """ValueError if it is anything but a whole, well-formed lease file."""
    try:
        body = json.loads(content)
        return LeaseFile(
            boot_id=str(body["boot_id"]),
            order=(_whole(body["incarnation"]), _whole(body["seq"])),
            permits={str(hub): _permit(entry) for hub, entry in body["hubs"].items()},
        )
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a lease file: {error!r}") from error


def _permit(entry: Mapping[str, Any]) -> Permit:
    era, n = entry["epoch"]
    return Permit((_whole(era), _whole(n)), _time(entry["close_at"]), _time(entry["stop_by"]))


def _time(value: object) -> int | None:
    return None if value is None else _whole(value)


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"not a whole number: {value!r}")
    return value
