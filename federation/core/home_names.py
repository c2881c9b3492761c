"""What a student's home is called in a tree and in a copy of it: the same at every site, so that it can be found again."""

from __future__ import annotations

import hashlib
import re

SAFE = re.compile(r"[a-z0-9][a-z0-9_-]{0,47}")


def slug(user: str) -> str:
    """A file name for a user name: itself where that is safe, else its safe letters and a hash, never another's."""
    if SAFE.fullmatch(user):
        return user
    digest = hashlib.sha256(user.encode()).hexdigest()[:10]
    return f"{re.sub(r'[^a-z0-9]', '', user.lower())[:32]}.{digest}"
