"""The only place that prints. Data goes to standard output; everything else, progress included, to standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

FORMATS = ("table", "wide", "json", "yaml", "name")


def data(text: str) -> None:
    """What was asked for."""
    print(text, flush=True)


def say(text: str) -> None:
    """What a person may want to know meanwhile."""
    print(text, file=sys.stderr, flush=True)


def line(text: str) -> None:
    """A line of progress that the next one replaces on a terminal."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    else:
        say(text)


def clear_line() -> None:
    """Take a line of progress away."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def end_line() -> None:
    """End a line of progress."""
    if sys.stderr.isatty():
        print(file=sys.stderr, flush=True)


def document(body: Any, form: str) -> None:
    """JSON or YAML."""
    if form == "yaml":
        from federation.cli.yaml_output import yaml_text  # noqa: PLC0415 - slow to import, and only here

        data(yaml_text(body))
    else:
        data(json.dumps(body, indent=2, ensure_ascii=False))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns, as kubectl prints them; empty cells show as -."""
    cells = [[*head], *([cell or "-" for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    for row in cells:
        data("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
