"""What is wrong with a file, and where: one shape for `fedctl check`, `place` and the coordinator's admission."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from federation.model.refusal import Place, Problem

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Position:
    """Line and column, both from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One error. Rendered as `FILE:LINE:COLUMN: PATH: what is wrong; what is allowed; an example`."""

    file: str
    line: int
    column: int
    path: str
    wrong: str
    allowed: str
    example: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.file else ""
        what = f"{self.wrong}; {self.allowed}; e.g. {self.example}"
        text = ": ".join(part for part in (where, self.path, what) if part)
        return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)  # one line, no escapes


@dataclass(frozen=True, slots=True)
class Located(Generic[T]):
    """A checked model, the file it came from, and where its parts stand in it."""

    value: T
    file: str
    positions: dict[Place, Position]
    generation: int = 0  # that the file says it was taken from

    def finding(self, problem: Problem) -> Finding:
        """A finding for something that is wrong with this document, at the nearest position that is known."""
        return finding_at(self.file, self.positions, problem)


@dataclass(frozen=True, slots=True)
class Checked(Generic[T]):
    """All documents that are right, and everything that is wrong with the others, in the order of the files."""

    documents: tuple[Located[T], ...]
    findings: tuple[Finding, ...]

    @property
    def values(self) -> tuple[T, ...]:
        """The documents without their places."""
        return tuple(document.value for document in self.documents)


def finding_at(file: str, positions: dict[Place, Position], problem: Problem) -> Finding:
    """Where the problem's place is not in the file, the nearest part above it is shown."""
    place = problem.at
    while place and place not in positions:
        place = place[:-1]
    position = positions.get(place, Position())
    path = path_text(problem.at)
    return Finding(file, position.line, position.column, path, problem.wrong, problem.allowed, problem.example)


def path_text(place: Place) -> str:
    """A place as people write it: `spec.meetings[0].weekly.at`."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
