"""The tables, and the values that they make. For the hub's own chart `overrides.values` of the classroom is merged last and
may say anything; for what surrounds a hub it says nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from federation.core.chart_values import classroom, hub, seat
from federation.core.chart_values.row import Given, Row, Value

ROWS: tuple[Row, ...] = (*seat.ROWS, *hub.ROWS)
ANY = "*"  # in a path: the name of the class that signs people in


def values_of(given: Given) -> dict[str, Value]:
    """What the upstream chart is given. Nothing in it is secret."""
    values: dict[str, Value] = {}
    for row in ROWS:
        value = row.value(given)
        if value is not None:
            _put(values, path_of(row, given), value)
    return merged(values, given.spec.overrides.values)


def classroom_values(given: Given) -> dict[str, Value]:
    """What our own chart `classroom` is given: all that surrounds a hub in its namespace."""
    complete = given if given.values else replace(given, values=values_of(given))
    values: dict[str, Value] = {}
    for row in classroom.ROWS:
        value = row.value(complete)
        if value is not None:
            _put(values, row.path, value)
    return values


def path_of(row: Row, given: Given) -> tuple[str, ...]:
    """Where the row's value goes for this classroom."""
    return tuple(hub.AUTHENTICATORS[given.spec.auth.type] if key == ANY else key for key in row.path)


def merged(values: Mapping[str, Value], over: Mapping[str, Value]) -> dict[str, Value]:
    """As Helm merges: maps key by key, everything else replaced as a whole; null takes a value away."""
    found = dict(values)
    for key, value in over.items():
        below = found.get(key)
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping):
            found[key] = merged(below if isinstance(below, Mapping) else {}, value)
        else:
            found[key] = value
    return found


def _put(values: dict[str, Value], path: tuple[str, ...], value: Value) -> None:
    for key in path[:-1]:
        values = values.setdefault(key, {})
    values[path[-1]] = value
