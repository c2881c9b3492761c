"""Whether a version of Kubernetes is one that a chart takes: the `kubeVersion` of its Chart.yaml, as Helm reads it."""

from __future__ import annotations

import re

PART = re.compile(r"(>=|<=|!=|=|>|<|\^|~)?\s*v?(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?(-[0-9A-Za-z.-]+)?")
NUMBERS = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")
Version = tuple[int, int, int]


def numbers(version: str) -> Version | None:
    """Of v1.35.4 or 1.35; None of what is none. What stands behind the numbers is the builder's own mark."""
    found = NUMBERS.match(version)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else None


def meets(version: str, constraint: str) -> bool | None:
    """None if either is not understood: then Helm itself decides."""
    have = numbers(version)
    if not constraint.strip():
        return True
    if have is None:
        return None
    alternatives = [_all_of(have, part) for part in constraint.split("||")]
    if any(found is True for found in alternatives):
        return True
    return None if None in alternatives else False


def _all_of(have: Version, text: str) -> bool | None:
    found = True
    rest = text.strip().replace(",", " ")
    if " - " in rest:
        low, _, high = rest.partition(" - ")
        rest = f">={low.strip()} <={high.strip()}"
    while rest:
        match = PART.match(rest)
        if match is None:
            return None
        found = found and _one(have, match)
        rest = rest[match.end() :].strip()
    return found


def _one(have: Version, match: re.Match[str]) -> bool:
    given = [match[n] for n in (2, 3, 4)]
    known = [int(part) for part in given if part is not None and part.isdigit()]
    least: Version = (*known, 0, 0, 0)[:3]  # type: ignore[assignment]
    operator = match[1] or "="
    if operator in ("=", "!=", "~") and len(known) < len(least):  # 1.31 is every 1.31.x
        same = list(have[: len(known)]) == known
        return same is not (operator == "!=")
    same_up_to = {"~": 2, "^": 1}
    match operator:
        case ">=":
            return have >= least
        case ">":
            return have[: len(known)] > tuple(known)
        case "<=":
            return have[: len(known)] <= tuple(known)
        case "<":
            return have < least
        case "!=":
            return have != least
        case "=":
            return have == least
        case _:
            return have >= least and have[: same_up_to[operator]] == least[: same_up_to[operator]]
