"""Passwords that a class shares: read aloud and written on a blackboard."""

from __future__ import annotations

from typing import Protocol

LEGIBLE = "abcdefghjkmnpqrstuvwxyz23456789"  # no characters that are read wrongly from a blackboard
PASSWORD_LENGTH = 12


class Chooser(Protocol):
    """`random.SystemRandom`, or a seeded one in simulations."""

    def choice(self, seq: str, /) -> str: ...


def draw_password(random: Chooser) -> str:
    """59 bits, if the chooser is not predictable."""
    return "".join(random.choice(LEGIBLE) for _ in range(PASSWORD_LENGTH))
