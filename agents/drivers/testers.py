"""What a site does for test servers: it admits one reserved user to a hub for a while, and removes all that it left."""

from __future__ import annotations

from typing import Protocol


class TesterDriver(Protocol):
    """The user is `federation.model.scalars.TESTER`. It is in no roster and its home in no copy, its servers are not
    counted as students', and nobody can sign in as it: the token is the only way."""

    async def admit(self, hub: str, valid_s: float) -> str:
        """Make the user known to the running hub; returns a token that starts, reaches and stops its own server, does
        nothing else, and ends by itself. DriverError if the hub does not answer."""
        ...

    async def dismiss(self, hub: str) -> None:
        """End its server, its tokens and the user itself, and remove its home. Idempotent, also of a hub that is not
        here any more; DriverError if something is left, e.g. the user of a hub that does not run: `left` still names it."""
        ...

    async def left(self) -> tuple[str, ...]:
        """Hubs to which it was admitted and not dismissed yet, also by an earlier agent."""
        ...
