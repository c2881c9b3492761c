"""The file that `roster.users_file` names: a user name in the first column of each line."""

from __future__ import annotations

import csv

from federation.model.files.finding import Finding, Position, finding_at
from federation.model.refusal import Problem
from federation.model.scalars import USER_NAME

HEADERS = frozenset({"user", "users", "username", "user_name", "name", "login", "github"})
MOST_BYTES = 1 << 20
SHAPE = "one user name in the first column of each line"


def read_roster(file: str, content: bytes) -> tuple[tuple[str, ...], tuple[Finding, ...]]:
    """Lower-cased names in the order of the file, and what is wrong with it. Empty lines, `#` lines and a header are
    left out; a name that comes twice is an error, capitals or not."""
    if len(content) > MOST_BYTES:
        too_long = Problem(f"the file has more than {MOST_BYTES} bytes", "fewer", "s01")
        return (), (finding_at(file, {}, too_long),)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return (), (finding_at(file, {}, Problem("it is not UTF-8", SHAPE, "s01")),)
    first: dict[str, int] = {}
    findings = []
    for line, name in _first_column(text):
        lower = name.lower()
        problem: Problem | None = None
        if USER_NAME.fullmatch(lower) is None:
            problem = Problem(
                f"{name!r} cannot be a user name", "letters, digits and . _ @ + - inside, at most 64", "s01"
            )
        elif lower in first:
            wrong = f"{name} stands in line {first[lower]} already, capitals make no difference"
            problem = Problem(wrong, "each user once", "remove one")
        if problem is not None:
            findings.append(finding_at(file, {(): Position(line, 1)}, problem))
        first.setdefault(lower, line)
    return tuple(first), tuple(findings)


def _first_column(text: str) -> list[tuple[int, str]]:
    """Line number and first column of each line that says something."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(text.splitlines(), 1):
        columns = next(csv.reader([line.replace("\0", "\N{REPLACEMENT CHARACTER}")]), [])
        name = columns[0].strip() if columns else ""
        is_header = not found and name.lower() in HEADERS
        if name and not name.startswith("#") and not is_header:
            found.append((number, name))
    return found
