"""What agents may call: Hello, Renew (any replica) and Session (the leader). Who calls was checked by the interceptor.

Each renewal is one register transaction (PROTOCOL.md section 3): no grant is ever given from memory (H3).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import structlog

from federation.api.v1 import agent_pb2, agent_pb2_grpc
from federation.coordinator.events import Journalist
from federation.coordinator.observations import Observations, Sightings
from federation.coordinator.recovering import Recovering
from federation.coordinator.sessions import AgentSession, Sessions
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.wanted import WantedBuilder, epoch_message, register_message
from federation.core.arming import Renewing, next_run
from federation.core.renewal import Answerable, Renewal, answer_claims, comes_late, deaf_after, judge
from federation.model.errors import Conflict, FederationError, NotFound, NotLeader, OldIncarnation, Unavailable
from federation.model.identity import Epoch, Members
from federation.model.ownership import AgentRecord, Contact, Owned, Ownership, SiteLease
from federation.model.profile import Profile
from federation.runtime.clock import Clock
from federation.runtime.sealing import check_public_key
from federation.runtime.supervisor import Supervisor
from federation.store import keys
from federation.store.interface import Committed
from federation.store.register import Changes, Register, Stored, decode

log = structlog.get_logger(__name__)

MOST_RUNS = 30  # hubs that one renewal arms or disarms: etcd takes 128 operations in a transaction
SILENCE_S = 30.0  # a stream on which the agent says nothing for so long is given up


class Term(Protocol):
    """What the service needs to know about leadership; the replica implements it."""

    @property
    def leader_address(self) -> str:
        """Where the leader listens; empty if none is known."""
        ...

    def require_leader(self) -> int:
        """This replica's leader epoch, or NotLeader with the leader's address."""
        ...


@dataclass(slots=True)
class AgentService(agent_pb2_grpc.AgentServiceServicer):
    """Serves agents."""

    register: Register
    snapshot: Snapshot
    term: Term
    sessions: Sessions
    observations: Observations
    sightings: Sightings
    builders: BuilderFactory
    journalist: Journalist
    clock: Clock
    tasks: Supervisor
    profile: Profile
    addresses: tuple[str, ...]
    recovering: Recovering

    async def Hello(self, request: agent_pb2.HelloRequest, context: Any) -> agent_pb2.HelloResponse:  # noqa: ARG002
        """Draw the next incarnation by compare-and-set; it must not touch the lease (PROTOCOL.md section 3)."""
        if self.register.fault:
            return await self.recovering.hello(request, self.addresses)
        read = await self.register.read_many(keys.MEMBERS, keys.agent(request.site))
        members = _read(read, keys.MEMBERS, Members)
        if members is None or members.document.uid_of(request.site) != request.uid:
            raise NotFound(
                f"site {request.site} with uid {request.uid} is not a member", help="Join it: `fedctl sites join FILE`."
            )
        if request.sealing_key:
            check_public_key(request.sealing_key)
        known = _read(read, keys.agent(request.site), AgentRecord)
        self._refuse_second_machine(request, known.document if known else None)
        if known is not None and comes_late(request.after if request.HasField("after") else None, known.document):
            return agent_pb2.HelloResponse(incarnation=known.document.incarnation, ask_again=True)
        last = max(known.document.incarnation if known else 0, request.last_incarnation)
        record = AgentRecord(
            site=request.site,
            uid=request.uid,
            incarnation=last + 1,
            machine_id=request.machine_id,
            sealing_key=request.sealing_key,
            version=request.version,
        )
        changes = Changes().unchanged(keys.MEMBERS, members).unchanged(keys.agent(request.site), known)
        changes.put(keys.agent(request.site), record)
        reached = members.document.reached_at(request.site, request.peer_address)
        if reached != members.document:  # every site is told with its next renewal
            changes.put(keys.MEMBERS, reached)
        message = f"agent started, incarnation {record.incarnation}"
        self.journalist.add(changes, "agent.hello", message, site=request.site, actor=f"agent/{request.site}")
        committed = await self.register.commit(changes)
        return agent_pb2.HelloResponse(
            register=register_message(self.register.identity),
            revision=committed.revision,
            incarnation=record.incarnation,
            coordinators=self.addresses,
        )

    def _refuse_second_machine(self, request: agent_pb2.HelloRequest, known: AgentRecord | None) -> None:
        """A copy of the machine must not speak for the site while the first one does (PROTOCOL.md section 4)."""
        if known is None or not known.machine_id or not request.machine_id or known.machine_id == request.machine_id:
            return
        patience_s = self.profile.takeover_s
        if self.sightings.changed_within(request.site, patience_s):
            raise Unavailable(
                f"site {request.site} is spoken for by another machine, heard within the last {patience_s:g} s",
                help="Stop the agent there first; two machines must not run one site.",
            )

    async def Renew(self, request: agent_pb2.RenewRequest, context: Any) -> agent_pb2.RenewResponse:  # noqa: ARG002
        """One transaction: renew the lease and read what the site owns; the answer is the grant. A register that is not
        believed grants nothing."""
        if self.register.fault:
            return await self.recovering.renew(request)
        renewal = Renewal(request.site, request.uid, request.incarnation, request.seq, request.heard)
        read = await self.register.read_many(keys.agent(renewal.site), keys.lease(renewal.site), keys.MEMBERS)
        agent = _read(read, keys.agent(renewal.site), AgentRecord)
        lease = _read(read, keys.lease(renewal.site), SiteLease)
        verdict = judge(
            renewal,
            agent.document if agent else None,
            lease.document if lease else None,
            deaf_after(self.profile.contact_s, self.profile.renew_s),
        )
        self._refuse(verdict, renewal)
        answer = agent_pb2.RenewResponse(
            register=register_message(self.register.identity), seq=request.seq, leader=self.term.leader_address
        )
        changes = Changes().unchanged(keys.agent(renewal.site), agent)
        if verdict is Answerable.DEAF:
            contact = Contact(site=renewal.site, incarnation=renewal.incarnation, seq=renewal.seq, heard=renewal.heard)
            answer.revision = (await self.register.commit(changes.put(keys.contact(renewal.site), contact))).revision
            return answer
        renewed = SiteLease(
            site=renewal.site,
            incarnation=renewal.incarnation,
            seq=renewal.seq,
            heard=renewal.heard,
            members_ack=request.members_ack,
        )
        changes.unchanged(keys.lease(renewal.site), lease).put(keys.lease(renewal.site), renewed)
        committed = await self._renew(changes.range(keys.owned_by(renewal.site)), request)
        await self._fill(answer, request, committed)
        members = _read(read, keys.MEMBERS, Members)
        if members is not None:
            _add_members(answer, members.document, request.members_ack)
        return answer

    async def _renew(self, changes: Changes, request: agent_pb2.RenewRequest) -> Committed:
        """The renewal, and with it hubs that become armed or standing. Which ones is read from this replica's copy and
        compared in the transaction; a copy that is behind must not cost the site its renewal."""
        armed = replace(changes, guards=[*changes.guards], puts=[*changes.puts])
        if not self._add_runs(armed, request):
            return await self.register.commit(changes)
        try:
            return await self.register.commit(armed)
        except Conflict:
            return await self.register.commit(changes)

    def _add_runs(self, changes: Changes, request: agent_pb2.RenewRequest) -> bool:
        """Only a renewal arms (H15 a); it compares the wish that it was armed by."""
        renewing = Renewing(request.incarnation, request.seq, min(request.heard, request.fenced), request.armable)
        changed = 0
        for entry in self.snapshot.mirror.entries(keys.owned_by(request.site)):
            owned = decode(entry, Owned)
            wanted = self.snapshot.wanted_mode(request.site, owned.document.hub)
            run = next_run(owned.document, wanted.document if wanted is not None else None, renewing)
            if run == owned.document.armed or changed == MOST_RUNS:
                continue
            changed += 1
            changes.unchanged(owned.key, owned).put(owned.key, owned.document.revise(armed=run))
            if run is not None:
                changes.unchanged(keys.mode(request.site, owned.document.hub), wanted)
        return changed > 0

    async def Session(
        self,
        request_iterator: AsyncIterator[agent_pb2.AgentMessage],
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[agent_pb2.CoordinatorMessage]:
        """The stream to the leader; ends when leadership, the agent or a newer stream of the site ends it."""
        leader_epoch = self.term.require_leader()
        first = await anext(request_iterator)
        opened = first.open
        stored = await self.register.read(keys.agent(opened.site), AgentRecord)
        if stored is None or stored.document.incarnation != opened.incarnation:
            raise OldIncarnation(f"incarnation {opened.incarnation} does not speak for {opened.site}")
        if self.term.require_leader() != leader_epoch:  # the read may have taken long enough to lose the lead
            raise NotLeader("leadership changed while the session was opened")
        builder = self.builders.builder(opened.site)
        session = AgentSession(opened.site, opened.incarnation, builder, self.register.identity, leader_epoch)
        self.sessions.opened(session)
        reader = self.tasks.start(f"session-{opened.site}", self._listen(session, request_iterator), eternal=False)
        try:
            yield agent_pb2.CoordinatorMessage(
                accepted=agent_pb2.SessionAccepted(
                    leader=self.term.leader_address, leader_epoch=epoch_message(Epoch(era=0, n=leader_epoch))
                )
            )
            async for message in session.outgoing(self.clock):
                if self.term.require_leader() != leader_epoch:
                    return
                yield message
        finally:
            reader.cancel()
            self.sessions.closed(session)

    async def _listen(self, session: AgentSession, incoming: AsyncIterator[agent_pb2.AgentMessage]) -> None:
        """Read the agent's side until it ends, breaks or falls silent; then end ours."""
        try:
            while True:
                async with asyncio.timeout(SILENCE_S):
                    message = await anext(incoming)
                kind = message.WhichOneof("message")
                if kind == "observed":
                    self.observations.record(session.site, session.incarnation, message.observed)
                elif kind == "answer":
                    self.sessions.answer(message.answer)
        except (StopAsyncIteration, TimeoutError, FederationError, OSError) as error:
            log.info("session.ended", site=session.site, why=repr(error))
        except Exception as error:  # noqa: BLE001 - a broken stream has many faces in grpc; it ends the session, no more
            log.info("session.broke", site=session.site, why=repr(error))
        finally:
            session.end()

    async def _fill(
        self, answer: agent_pb2.RenewResponse, request: agent_pb2.RenewRequest, committed: Committed
    ) -> None:
        """The grant, and what is known of claims that it does not list."""
        prefix = keys.owned_by(request.site)
        granted = {keys.tail(e.key): decode(e, Owned).document for e in committed.ranges[prefix]}
        claims = {c.hub: Epoch(era=c.epoch.era, n=c.epoch.n) for c in request.claims}
        missing = [hub for hub in claims if hub not in granted]
        records: dict[str, Ownership | None] = {}
        for start in range(0, len(missing), 100):
            read = await self.register.read_many(*(keys.ownership(hub) for hub in missing[start : start + 100]))
            for key, entry in read.items():
                records[keys.tail(key)] = decode(entry, Ownership).document if entry else None
        claimed = answer_claims(request.site, claims, granted, records)
        answer.granted = True
        answer.revision = committed.revision
        for owned in granted.values():
            answer.grants.add(hub=owned.hub, epoch=epoch_message(owned.epoch), mode=owned.mode.value)
        for ended in claimed.revoked:
            answer.revoked.add(
                hub=ended.hub,
                epoch=epoch_message(ended.epoch),
                owner=ended.owner or "",
                tombstone=ended.tombstone,
            )
        answer.unknown.extend(claimed.unknown)

    @staticmethod
    def _refuse(verdict: Answerable, renewal: Renewal) -> None:
        match verdict:
            case Answerable.UNKNOWN_MEMBER:
                raise NotFound(f"site {renewal.site} with uid {renewal.uid} never said hello")
            case Answerable.OLD_INCARNATION:
                raise OldIncarnation(f"incarnation {renewal.incarnation} does not speak for {renewal.site}")
            case Answerable.OLD_SEQ:
                raise Conflict(f"renewal {renewal.seq} of {renewal.site} came late: a newer one was answered")
            case Answerable.RENEW | Answerable.DEAF:
                return


class BuilderFactory(Protocol):
    """Makes the builder of a site's wanted documents."""

    def builder(self, site: str) -> WantedBuilder:
        """A fresh builder."""
        ...


def _add_members(answer: agent_pb2.RenewResponse, members: Members, acknowledged: int) -> None:
    answer.members_version = members.version
    if members.version > acknowledged:
        for member in members.members:
            answer.members.add(site=member.site, uid=member.uid, peer_address=member.peer_address)


def _read(read: dict[str, Any], key: str, kind: type[Any]) -> Stored[Any] | None:
    entry = read[key]
    return None if entry is None else decode(entry, kind)
