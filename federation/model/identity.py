"""Identifiers and epochs (DESIGN.md 4.2): who is who, and which of two claims is newer."""

from __future__ import annotations

import re
from functools import total_ordering
from typing import NewType

from pydantic import Field

from federation.model.schema import Document, Model

HubUid = NewType("HubUid", str)  # "<name>-<uid6>": ownership, homes, processes and paths use it
HubName = NewType("HubName", str)  # what the admin wrote in metadata.name
SiteName = NewType("SiteName", str)

DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def hub_uid(name: str, uid6: str) -> HubUid:
    """Join name and six random characters; next term's class of the same name never meets this term's homes."""
    return HubUid(f"{name}-{uid6}")


def name_of(hub: str) -> str:
    """The classroom's name inside a hub uid."""
    return hub.rsplit("-", 1)[0]


@total_ordering
class Epoch(Model):
    """An ownership epoch, compared as a pair: every epoch of a later era beats all of an earlier one (H6)."""

    era: int = Field(ge=0)
    n: int = Field(ge=0)

    def __lt__(self, other: Epoch) -> bool:
        return (self.era, self.n) < (other.era, other.n)

    def next(self) -> Epoch:
        """The epoch after this one in the same era."""
        return Epoch(era=self.era, n=self.n + 1)

    def __str__(self) -> str:
        return f"{self.era}.{self.n}"


class RegisterId(Document):
    """Identity of the register; every transaction compares it (PROTOCOL.md H6)."""

    uuid: str
    era: int = 1


class Member(Model):
    """A site that joined: name and the uid that was drawn at join. `since` is the version of the list that first had
    exactly this member. `peer_address`: where its agent may be asked by others; empty: nowhere."""

    site: str
    uid: str
    since: int = 0
    peer_address: str = ""


class Members(Document):
    """The member list with its version; a renewal acknowledges the version that the agent journaled (H5)."""

    version: int = 0
    members: tuple[Member, ...] = ()

    def uid_of(self, site: str) -> str | None:
        """The uid of `site`, or None if it never joined."""
        return next((m.uid for m in self.members if m.site == site), None)

    def joined(self, site: str, uid: str) -> Members:
        """The list with (site, uid) in it and a higher version."""
        rest = tuple(m for m in self.members if m.site != site)
        version = self.version + 1
        return Members(version=version, members=(*rest, Member(site=site, uid=uid, since=version)))

    def reached_at(self, site: str, address: str) -> Members:
        """The list in which the agent of `site` is asked at `address`. A new version, so that all hear of it, but the same
        member: who knew it before knows it still."""
        changed = tuple(m.revise(peer_address=address) if m.site == site else m for m in self.members)
        return self if changed == self.members else Members(version=self.version + 1, members=changed)

    def known_in(self, site: str, version: int) -> bool:
        """Whether the list of that `version` had the member that is called `site` now."""
        return any(m.site == site and m.since <= version for m in self.members)
