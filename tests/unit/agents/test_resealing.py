"""Secrets go to sites whose agents have said themselves what their key is, and that the class allows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agents.journal import Journal, JournalRecord
from agents.link import Self
from agents.resealing import Resealing
from federation.api.v1 import agent_pb2
from federation.model.errors import Unavailable
from federation.model.identity import Member
from federation.model.profile import PROFILES, ProfileName
from federation.runtime.sealing import SealingKey, seal
from tests.support.virtual import MemoryDisk

IU, TACC, PSC = (SealingKey.generate() for _ in range(3))
MEMBERS = tuple(Member(site=site, uid=f"u-{site}", peer_address=f"{site}:1") for site in ("iu", "tacc", "psc"))


@dataclass
class Answering:
    """Other agents; who is not in `keys` does not answer."""

    keys: dict[str, str]
    asked: list[str] = field(default_factory=list)

    async def ask(
        self, member: Member, request: agent_pb2.FailsafeRequest, *, timeout_s: float
    ) -> agent_pb2.FailsafeResponse:
        self.asked.append(member.site)
        assert not request.hubs, "it asks for no promise"
        if member.site not in self.keys:
            raise Unavailable("no route to host")
        return agent_pb2.FailsafeResponse(site=member.site, uid=member.uid, sealing_key=self.keys[member.site])


def resealing(peers: Answering) -> Resealing:
    who = Self("iu", "u-iu", "local", ("c1",), PROFILES[ProfileName.LAB], "machine", IU.public, "test")
    record = JournalRecord(site="iu", uid="u-iu", members=MEMBERS)
    return Resealing(who, Journal(Path("/journal"), MemoryDisk(), record), IU, peers)


def directive(*allow: str) -> agent_pb2.WantedHub:
    wanted = agent_pb2.WantedHub(hub="atm101-abc123", sealed={"auth": seal(IU.public, b"apple")})
    wanted.spec.placement.allow.extend(allow)
    return wanted


async def test_every_other_site_that_answers_can_open_them() -> None:
    here = resealing(Answering({"tacc": TACC.public, "psc": PSC.public}))
    await here.look()
    boxes = {box.site: box.box for box in here.boxes(directive())}
    assert {"tacc": TACC.open(boxes["tacc"]), "psc": PSC.open(boxes["psc"])} == {"tacc": b"apple", "psc": b"apple"}


async def test_a_site_that_the_class_does_not_allow_gets_nothing() -> None:
    here = resealing(Answering({"tacc": TACC.public, "psc": PSC.public}))
    await here.look()
    assert [box.site for box in here.boxes(directive("iu", "psc"))] == ["psc"]


async def test_a_report_that_is_made_again_is_the_same_and_only_who_was_silent_is_asked_again() -> None:
    peers = Answering({"tacc": TACC.public})
    here, wanted = resealing(peers), directive()
    await here.look()
    first = here.boxes(wanted)
    await here.look()
    assert here.boxes(wanted) == first
    assert sorted(peers.asked) == ["psc", "psc", "tacc"]


@pytest.mark.parametrize("box", [b"", b"not a box"])
async def test_what_does_not_open_here_is_left_out(box: bytes) -> None:
    here = resealing(Answering({"tacc": TACC.public}))
    await here.look()
    wanted = directive()
    wanted.sealed["auth"] = box
    assert here.boxes(wanted) == []
