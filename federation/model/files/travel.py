"""Findings on their way from a coordinator to whoever sent the classroom: in the details of the error.

The coordinator does not know the file. It says which field is wrong; the sender, who has the file, says where that is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypeVar

from federation.model.files.finding import Finding, Located, Position, path_text

T = TypeVar("T")
COUNT = "findings"
ONE = "finding."


def details_of(findings: Sequence[Finding]) -> dict[str, str]:
    """How many there are, and each by its number. What an error cannot carry is left out, from the end."""
    each = {
        f"{ONE}{number}": json.dumps([f.path, f.wrong, f.allowed, f.example], ensure_ascii=False)
        for number, f in enumerate(findings)
    }
    return {COUNT: str(len(findings)), **each}


def located_findings(details: Mapping[str, str], document: Located[T]) -> tuple[tuple[Finding, ...], int]:
    """The findings with their places in the document's file, and how many more there are that did not arrive."""
    positions = {path_text(place): position for place, position in document.positions.items()}
    found: list[Finding] = []
    for key in sorted((key for key in details if key.startswith(ONE)), key=_number):
        path, wrong, allowed, example = (str(part) for part in json.loads(details[key]))
        position = _nearest(path, positions)
        found.append(Finding(document.file, position.line, position.column, path, wrong, allowed, example))
    found.sort(key=lambda finding: (finding.line, finding.column))
    return tuple(found), int(details.get(COUNT, "0")) - len(found)


def _nearest(path: str, positions: Mapping[str, Position]) -> Position:
    """Where the field stands, else the nearest part above it that is in the file."""
    while path and path not in positions:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return positions.get(path, Position())


def _number(key: str) -> int:
    number = key.removeprefix(ONE)
    return int(number) if number.isascii() and number.isdigit() else 0
