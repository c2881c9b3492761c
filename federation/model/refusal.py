"""How a model refuses a value: what is wrong, what is allowed, an example; for a person, without a stack trace.

A validator raises `refuse(...)`; pydantic collects it with the field's place. One validator may raise several problems
at once, each with the place of its own below the validated value. Secret values are never put into a problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from pydantic_core import PydanticCustomError

Place = tuple[str | int, ...]
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `at` is the place below the value that was being validated."""

    wrong: str
    allowed: str
    example: str
    at: Place = ()

    def below(self, *place: str | int) -> Problem:
        """The same problem seen from further up."""
        return Problem(self.wrong, self.allowed, self.example, (*place, *self.at))


def refuse(wrong: str, allowed: str, example: str, *at: str | int) -> PydanticCustomError:
    """The error to raise for one problem."""
    return refuse_all([Problem(wrong, allowed, example, at)])


def refuse_all(problems: Sequence[Problem]) -> PydanticCustomError:
    """The error to raise for several problems; there must be at least one."""
    text = "; ".join(f"{problem.wrong}; {problem.allowed}" for problem in problems)
    # the text goes through a format string of pydantic's: as a value, so that braces in it mean nothing
    return PydanticCustomError(REFUSED, "{text}", {"text": text, "problems": tuple(problems)})


def problems_in(context: object) -> tuple[Problem, ...]:
    """The problems in the `ctx` of a pydantic error of type `REFUSED`."""
    if not isinstance(context, dict):
        return ()
    return cast(tuple[Problem, ...], context.get("problems", ()))
