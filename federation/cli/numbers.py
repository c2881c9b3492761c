"""Numbers on the command line. Those that mean nothing are refused (exit code 2), not taken for a default."""

from __future__ import annotations

import argparse
import math

MOST = 2**31 - 1  # what the wire carries


def seconds(text: str) -> float:
    """A patience: 0 or more."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 on, e.g. 600")
    return value


def count(text: str) -> int:
    """How many: 1 or more."""
    value = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= value <= MOST:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on, e.g. 100")
    return value
