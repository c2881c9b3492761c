"""Agents ask each other over real mutual TLS: who is answered, and whose answer counts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agents.drivers.local.ports import free_ports
from agents.fencer_ack import FencerAcks
from agents.grpc_transport import GrpcPeers
from agents.journal import Journal
from agents.lease import Fencing, SiteLease
from agents.main import answering, asked_at
from agents.peer_service import PEER_RIGHTS, PeerService
from federation.api.v1 import agent_pb2, types_pb2
from federation.core.holding import Answer
from federation.model.errors import Denied, FederationError, Unavailable
from federation.model.identity import Member, RegisterId
from federation.model.profile import PROFILES, ProfileName
from federation.model.site_file import AgentSettings
from federation.runtime.access import Role
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.grpc_client import Channels
from federation.runtime.identity_uri import Kind, Principal
from federation.runtime.tls import TlsFiles
from tests.support.certificates import OTHER_REGISTER, Certificates
from tests.support.dummy_services import our_methods

IU = Member(site="iu", uid="u1", peer_address="127.0.0.1:1")
UNKNOWN = "not in the member list"


@dataclass
class Asked:
    """The agent of tacc, which answers."""

    certificates: Certificates
    member: Member
    lease: SiteLease


@asynccontextmanager
async def tacc(folder: Path) -> AsyncIterator[Asked]:
    certificates, clock, disk = Certificates(folder), SystemClock(), LocalDisk()
    member = Member(site="tacc", uid="u2", peer_address=f"127.0.0.1:{free_ports(1)[0]}")
    journal = Journal.open(folder / "journal.json", disk, site="tacc", uid="u2")
    fencing = Fencing(PROFILES[ProfileName.LAB], FencerAcks(folder / "ack.json", disk, clock), unproven=lambda: "")
    lease = SiteLease(folder / "lease.json", disk, journal, clock, fencing)
    answer = Answer(RegisterId(uuid=certificates.register), 1, lease.next_seq(), granted=True, grants={}, revoked={})
    lease.process(answer, (2, (IU, member)))
    service = PeerService("tacc", "u2", lease)
    async with answering(member.peer_address, certificates.agent("tacc", "u2"), certificates.register, service):
        yield Asked(certificates, member, lease)


async def ask(tls: TlsFiles, member: Member, site: str = "iu", uid: str = "u1") -> agent_pb2.FailsafeResponse:
    claim = agent_pb2.Claim(hub="h1", epoch=types_pb2.Epoch(era=1, n=1))
    request = agent_pb2.FailsafeRequest(site=site, uid=uid, nonce=2**64 - 1, hubs=[claim])
    async with Channels(tls) as channels:
        return await GrpcPeers(channels).ask(member, request, timeout_s=5.0)


async def refused(tls: TlsFiles, member: Member, site: str, uid: str) -> type[FederationError] | None:
    try:
        await ask(tls, member, site, uid)
    except FederationError as error:
        return type(error)
    return None


def test_nothing_else_may_be_called_at_an_agent() -> None:
    assert list(PEER_RIGHTS) == [path for path in our_methods() if "/federation.api.v1.PeerService/" in path]
    assert all(right.roles == {Role.AGENT} and right.speaks_for for right in PEER_RIGHTS.values())


async def test_a_member_is_promised_what_it_asks_for(tmp_path: Path) -> None:
    async with tacc(tmp_path) as asked:
        answer = await ask(asked.certificates.agent("iu", "u1"), asked.member)
        assert (answer.site, answer.uid, answer.nonce) == ("tacc", "u2", 2**64 - 1)
        assert [(hub.hub, hub.promised) for hub in answer.hubs] == [("h1", True)]
        assert [(p.hub, p.site, p.uid) for p in asked.lease.promises.running()] == [("h1", "iu", "u1")]


async def test_nobody_else_is_promised_anything(tmp_path: Path) -> None:
    async with tacc(tmp_path) as asked:
        ours, theirs = asked.certificates, Certificates(tmp_path / "theirs", OTHER_REGISTER)
        strangers = {
            "an agent for another site": (ours.agent("psc", "u3"), "iu", "u1", Denied),
            "an agent under an earlier uid for the one of now": (ours.agent("iu", "u0"), "iu", "u1", Denied),
            "a user": (ours.user("ada"), "iu", "u1", Denied),
            "a coordinator": (ours.coordinator(), "iu", "u1", Denied),
            "another federation with its own CA": (theirs.agent("iu", "u1"), "iu", "u1", Unavailable),
        }
        for who, (tls, site, uid, refusal) in strangers.items():
            assert await refused(tls, asked.member, site, uid) is refusal, who
        for site, uid in (("psc", "u3"), ("iu", "u0")):  # members of the register, perhaps; not of this list
            answer = await ask(ours.agent(site, uid), asked.member, site, uid)
            assert not answer.hubs[0].promised
            assert UNKNOWN in answer.hubs[0].reason
        assert asked.lease.promises.running() == ()


def test_an_agent_whose_certificate_others_would_not_accept_says_that_nobody_can_ask_it(tmp_path: Path) -> None:
    certificates, me = Certificates(tmp_path), Principal(Kind.AGENT, "tacc", Certificates(tmp_path).register, "u2")
    settings = AgentSettings(coordinators=("127.0.0.1:1",), peer_address="127.0.0.1:2")
    assert asked_at(settings, certificates.agent("tacc", "u2"), me) == "127.0.0.1:2"
    assert asked_at(settings, certificates.issue("earlier", uri=me.uri), me) == ""


async def test_the_answer_of_another_member_at_the_address_does_not_count(tmp_path: Path) -> None:
    """The site was wiped and joined again under another uid: who asks the member that it knew is not answered."""
    async with tacc(tmp_path) as asked:
        for other in (asked.member.revise(uid="u0"), asked.member.revise(site="psc")):
            with pytest.raises(FederationError):
                await ask(asked.certificates.agent("iu", "u1"), other)
        assert asked.lease.promises.running() == ()
