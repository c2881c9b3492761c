"""What the volume claim of a student's home is called in a cluster: as KubeSpawner names it, or it would make another one.

KubeSpawner fills `{user_server}` of a template with its own safe form of the user's name (its scheme `safe`, since 7). A
restore never writes into claims that are in use: it makes new ones, of the next generation, whose names begin with another
word. So no name is one of two generations, whatever a student is called.
"""

from __future__ import annotations

import hashlib
import re

NAME = re.compile(r"claim([1-9][0-9]{0,8})?-.+")
PLAIN = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
LONGEST = 48  # of KubeSpawner's safe form
HASH = 8
PARTS = 2  # user and server; the server that everybody has is called nothing
BETWEEN = b"\xff"  # no text has this byte


def template(generation: int) -> str:
    """What KubeSpawner is told. Generation 0: no restore has ever made claims of this hub at this site."""
    return f"{_prefix(generation)}{{user_server}}"


def claim_of(user: str, generation: int) -> str:
    """The claim that KubeSpawner looks for when this user's own server starts."""
    return f"{_prefix(generation)}{spawner_slug(user)}"


def claims_of(generation: int) -> str:
    """All of them, for people."""
    return f"{_prefix(generation)}*"


def generation_of(claim: str) -> int | None:
    """None: it is no home's."""
    match = NAME.fullmatch(claim)
    return int(match[1] or 0) if match is not None else None


def spawner_slug(user: str) -> str:
    """`{user_server}` of the server without a name."""
    plain = PLAIN.fullmatch(user) is not None and "--" not in user and len(user) <= LONGEST
    safe = user if plain else f"{_letters(user, LONGEST - HASH - 3)}---{_hash(user.encode())}"
    if len(safe) + len("--") <= LONGEST:
        return safe
    # too long for a server's name to follow: both parts are cut, also where there is none
    room = (LONGEST - HASH - 1) // PARTS - 2
    return f"{_letters(user, room)}--{_letters('', room)}---{_hash(user.encode() + BETWEEN)}"


def _prefix(generation: int) -> str:
    return f"claim{generation or ''}-"


def _letters(name: str, most: int) -> str:
    """What is left of it for people: it begins with a letter, and is never empty."""
    kept = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-")[:most].rstrip("-")
    if kept and not "a" <= kept[0] <= "z":
        return f"x-{kept[: most - 2]}"
    return kept or "x"


def _hash(name: bytes) -> str:
    return hashlib.sha256(name).hexdigest()[:HASH]
