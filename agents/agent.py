"""One agent, assembled from its ports: drivers, transport, disk, clock, randomness. No sockets and no signals here.

Boot order (PROTOCOL.md section 4): lock and journal, what the lease file still allows in this boot, then hello, then
renewals; hubs that run are adopted and go on meanwhile, nothing new is opened before a grant or a round of the failsafe.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import structlog

from agents.canary import Canary
from agents.copying import Copying, FinalCopies
from agents.drivers.base import SiteDrivers
from agents.failsafe import Failsafe, Peers
from agents.fencer_ack import FencerAcks
from agents.holdings import HoldingsReport
from agents.hub_orders import HubOrders
from agents.journal import Journal
from agents.lease import Fencing, SiteLease
from agents.link import Link, Self, Transport
from agents.peer_service import PeerService
from agents.preparing import Preparing
from agents.reconcile import Reconciler
from agents.report import Reporter
from agents.resealing import Resealing
from agents.server_tests import ServerTests
from agents.wanted import WantedHubs
from federation.api.v1 import agent_pb2
from federation.model.errors import FederationError
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk
from federation.runtime.loop import Loop, Pace
from federation.runtime.sealing import SealingKey
from federation.runtime.supervisor import Supervisor

log = structlog.get_logger(__name__)

FENCE_GRACE = 0.25  # of F
FENCE_LOOK_S = 0.1  # what was not stopped in time is looked at so often
EDGE = "edge"
HERE = "here"
PIECE_BYTES, MOST_PIECES = 64 * 1024, 32  # of a log: what waits for the stream stays small


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that touches the world. `peers` None: other agents cannot be asked."""

    drivers: SiteDrivers
    transport: Transport
    disk: Disk
    clock: Clock
    random: Random
    peers: Peers | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where the agent keeps things: `runtime_dir` is on tmpfs and shared with edge and fencer."""

    state_dir: Path
    runtime_dir: Path

    @property
    def journal(self) -> Path:
        """Survives kill -9 and reboot."""
        return self.state_dir / "journal.json"

    @property
    def wanted(self) -> Path:
        """The last accepted directives."""
        return self.state_dir / "wanted.bin"

    @property
    def ack(self) -> Path:
        """What the fencer says of itself."""
        return self.runtime_dir / "ack.json"

    @property
    def lease(self) -> Path:
        """What may be open, in this boot only."""
        return self.runtime_dir / "lease.json"


class Agent:
    """`run` is eternal."""

    def __init__(
        self,
        who: Self,
        place: Place,
        ports: Ports,
        sealing: SealingKey,
        tasks: Supervisor,
    ) -> None:
        self._tasks = tasks
        self._ports = ports
        self.journal = Journal.open(place.journal, ports.disk, site=who.site, uid=who.uid)
        acks = FencerAcks(place.ack, ports.disk, ports.clock)
        fencing = Fencing(who.profile, acks, unproven=lambda: self.canary.unproven())  # noqa: PLW0108 - the canary is made later
        self.lease = SiteLease(place.lease, ports.disk, self.journal, ports.clock, fencing)
        self.wanted = WantedHubs(place.wanted, ports.disk, lambda: self.lease.held)
        finals = FinalCopies()
        self.reporter = Reporter(who.kind, who.version, ports.drivers.hubs.capabilities.version)
        self.reconciler = Reconciler(
            ports.drivers,
            self.lease,
            self.wanted,
            self.reporter,
            HubOrders(self.wanted, sealing, ports.clock),
            ports.clock,
            fence_grace_s=who.profile.fence_s * FENCE_GRACE,
            finals=finals,
        )
        self.preparing = Preparing(ports.drivers.preparing, tasks)
        self.server_tests = ServerTests(ports.drivers, self.lease, ports.clock)
        self.copying = Copying(
            ports.drivers.copies, ports.drivers.homes, ports.drivers.hubs, self.lease, self.wanted, sealing, finals
        )
        self.canary = Canary(
            who.site,
            ports.drivers.canary,
            self.lease.set_canary,
            self.reconciler.route_canary,
            ports.clock,
            fencer_s=who.profile.fencer_s,
            fencer_answers=lambda: acks.newest() is not None,
        )
        resealing = Resealing(who, self.journal, sealing, ports.peers)
        self.link = Link(
            who,
            ports.transport,
            self.lease,
            clock=ports.clock,
            random=ports.random,
            on_change=self._wake_all,
            holdings=HoldingsReport(
                who,
                self.journal,
                self.lease,
                self.wanted,
                self.reconciler,
                self.reporter,
                ports.clock,
                resealing,
                ports.drivers.homes,
            ).message,
        )
        self.peer_service = PeerService(who.site, who.uid, self.lease, who.sealing_key)
        self.failsafe = Failsafe(
            who,
            self.lease,
            self.journal,
            ports.peers,
            clock=ports.clock,
            random=ports.random,
            on_change=self._wake_all,
        )
        self._hubs = self._loop("hubs", Pace(relist_s=5.0))
        self._site = Loop(
            "site",
            self._reconcile_site,
            lambda: (EDGE, HERE),
            clock=ports.clock,
            random=ports.random,
            pace=Pace(relist_s=5.0),
        )
        self._answering: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Adopt, then say hello, then renew and talk. Eternal; OldIncarnation ends it."""
        self._tasks.start("hubs", self._hubs.run())
        self._tasks.start("site", self._site.run())
        self._tasks.start("fence", self._fence())
        self._tasks.start("failsafe", self.failsafe.run())
        forgotten = self.journal.record.incarnation == 0
        answer = await self.link.hello(self.lease.last_incarnation)
        if forgotten and answer.incarnation > 1:
            self.lease.quarantine()
        self.journal.write(incarnation=answer.incarnation)
        log.info("agent.started", incarnation=answer.incarnation, register=answer.register.uuid)
        self._tasks.start("canary", self.canary.run())
        self._tasks.start("talk", self.link.talk_forever(self))
        await self.link.renew_forever(lambda: self.journal.record.members_version)

    # --- the conversation with the leader (agents.link.Talk) ---

    def connected(self) -> AsyncIterator[agent_pb2.AgentMessage]:
        """A new stream: everything is said anew, questions of the old one are void."""
        self.wanted.session_began()
        for task in self._answering.values():
            task.cancel()
        self._answering.clear()
        return self.reporter.session_began()

    def received(self, message: agent_pb2.CoordinatorMessage) -> None:
        """Take a directive or a question."""
        kind = message.WhichOneof("message")
        if kind == "wanted":
            changed = self.wanted.take(message.wanted)
            self.reconciler.departed.note(d for hub in changed if (d := self.wanted.hubs.get(hub)) is not None)
            for hub in changed:
                self._hubs.wake(hub)
                if self.reconciler.lacks_grant(hub):
                    self.link.renew_soon()
            self._site.wake(EDGE)
        elif kind == "ask":
            self._take_ask(message.ask)

    def _take_ask(self, ask: agent_pb2.Ask) -> None:
        if ask.WhichOneof("ask") == "cancel":
            task = self._answering.pop(ask.id, None)
            if task is not None:
                task.cancel()
            return
        match ask.WhichOneof("ask"):
            case "logs":
                work = self._answer_logs(ask)
            case "prepare":
                work = self._answer_all(ask.id, self.preparing.answers(ask))
            case "server_test":
                work = self._answer(ask, self.server_tests)
            case _:
                work = self._answer(ask, self.copying)
        self._answering[ask.id] = self._tasks.start(f"ask-{ask.id}", work, eternal=False)

    async def _answer(self, ask: agent_pb2.Ask, who: Copying | ServerTests) -> None:
        try:
            self.reporter.answer(await who.answer(ask))
            self._hubs.wake(ask.copy.hub)  # a move waits to hear which copy is the last word
        finally:
            self._answering.pop(ask.id, None)

    async def _answer_all(self, ask_id: str, answers: AsyncIterator[agent_pb2.Answer]) -> None:
        try:
            async for answer in answers:
                self.reporter.answer(answer)
        finally:
            self._answering.pop(ask_id, None)

    async def _answer_logs(self, ask: agent_pb2.Ask) -> None:
        asked = ask.logs
        try:
            lines = self._ports.drivers.hubs.logs(asked.hub, asked.user, tail=asked.tail, follow=asked.follow)
            async for chunk in lines:
                for start in range(0, len(chunk), PIECE_BYTES):
                    while self.reporter.backlog > MOST_PIECES:
                        await self._ports.clock.sleep(0.05)
                    self.reporter.answer(agent_pb2.Answer(id=ask.id, chunk=chunk[start : start + PIECE_BYTES]))
            self.reporter.answer(agent_pb2.Answer(id=ask.id, done=True))
        except FederationError as error:
            self.reporter.answer(agent_pb2.Answer(id=ask.id, error=error.message, done=True))
        finally:
            self._answering.pop(ask.id, None)

    # --- loops ---

    async def _fence(self) -> None:
        """Stop what may not run any more, at once when its time is over. The gate has closed by itself by then."""
        told: set[str] = set()
        while True:
            over = {hub for hub in self.lease.held if self.lease.lapsed(hub)}
            for hub in over - told:
                log.warning("lease.lapsed", hub=hub)
                self.reconciler.starts.give_up(hub)
                self._hubs.wake(hub, urgent=True)
                self._site.wake(EDGE)
            told = over
            self.lease.file.keep()
            next_s = self.lease.next_lapse_s()
            await self._ports.clock.sleep(min(max(next_s or 1.0, FENCE_LOOK_S), 1.0))

    async def _reconcile_site(self, key: str) -> float | None:
        if key == HERE:
            look_s = await self.reconciler.discover()
            await self.server_tests.tidy()
            return look_s
        return await self.reconciler.reconcile_edge()

    async def _reconcile_hub(self, hub: str) -> float | None:
        before = self.reconciler.phase(hub)
        look_s = await self.reconciler.reconcile(hub)
        if self.reconciler.phase(hub) is not before:
            self._site.wake(EDGE)
        return look_s

    def _loop(self, name: str, pace: Pace) -> Loop:
        return Loop(
            name,
            self._reconcile_hub,
            self.reconciler.hubs,
            clock=self._ports.clock,
            random=self._ports.random,
            pace=pace,
        )

    def _wake_all(self) -> None:
        for hub in self.lease.ended:
            self.reconciler.starts.give_up(hub)
        for hub in self.reconciler.hubs():
            self._hubs.wake(hub, urgent=True)
        self._site.wake(EDGE)
