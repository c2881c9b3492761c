"""The agent's line to the coordinators: hello once, renewals to any replica, one stream to the leader.

It always dials out and knows all endpoints. Silence stops nothing: hubs run on while it tries again (I7). The
transport is a port, so that simulations connect agent and coordinator in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from typing import Protocol, TypeVar

import structlog

from agents.lease import SiteLease
from federation.api.v1 import agent_pb2, types_pb2
from federation.core.holding import Answer, Granted
from federation.model.errors import Conflict, FederationError, NotLeader, OldIncarnation, RegisterFault, Unavailable
from federation.model.identity import Epoch, Member, RegisterId
from federation.model.ownership import Mode
from federation.model.profile import Profile
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

HELLO_TIMEOUT_S = 5.0
LEAST_PAUSE_S, PAUSE_PER_SPENT = 0.05, 4.0  # between two renewals
RETRY_FIRST_S, RETRY_MOST_S = 0.2, 5.0
AGAIN_S = 0.05
SILENCE_S = 60.0  # the leader repeats itself at least this often; a stream that is silent for longer is dead

R = TypeVar("R")


class Coordinator(Protocol):
    """One coordinator, as the agent calls it. Failures are `FederationError`s."""

    async def hello(self, request: agent_pb2.HelloRequest, *, timeout_s: float) -> agent_pb2.HelloResponse: ...

    async def renew(self, request: agent_pb2.RenewRequest, *, timeout_s: float) -> agent_pb2.RenewResponse: ...

    def session(
        self, outgoing: AsyncIterator[agent_pb2.AgentMessage]
    ) -> AsyncGenerator[agent_pb2.CoordinatorMessage]: ...


class Transport(Protocol):
    """Reaches coordinators by address."""

    def coordinator(self, address: str) -> Coordinator:
        """A client for this address; cheap, keeps its channel."""
        ...


@dataclass(frozen=True, slots=True)
class Self:
    """Who this agent is."""

    site: str
    uid: str
    kind: str
    coordinators: tuple[str, ...]
    profile: Profile
    machine_id: str
    sealing_key: str
    version: str
    peer_address: str = ""  # where other agents may ask this one; empty: nowhere, and the failsafe is off


class Endpoints:
    """The coordinators, the last good one first."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        self._addresses = list(addresses)
        self.leader = ""

    async def first_that_answers(self, call: Callable[[str], Awaitable[R]]) -> R:
        """Try each in turn; errors that another replica would repeat are raised at once."""
        last: FederationError = Unavailable("no coordinator is configured")
        for address in tuple(self._addresses):
            try:
                answer = await call(address)
            except (OldIncarnation, Conflict):
                raise
            except FederationError as error:
                last = error
                continue
            self._addresses.remove(address)
            self._addresses.insert(0, address)
            return answer
        raise last

    def learn(self, addresses: tuple[str, ...]) -> None:
        """Coordinators may have been added since the site file was written."""
        self._addresses.extend(a for a in addresses if a not in self._addresses)

    def for_session(self) -> str:
        """The leader if it is known, else the best guess."""
        return self.leader or self._addresses[0]


class Link:
    """`start` draws the incarnation; `renew_forever` and `talk_forever` are eternal."""

    def __init__(
        self,
        who: Self,
        transport: Transport,
        lease: SiteLease,
        *,
        clock: Clock,
        random: Random,
        on_change: Callable[[], None],
        holdings: Callable[[], Awaitable[agent_pb2.Holdings]],
    ) -> None:
        self._holdings = holdings
        self._fault = False  # coordinators do not believe their register: they are told what is held here
        self._who = who
        self._endpoints = Endpoints(who.coordinators)
        self._transport = transport
        self._lease = lease
        self._profile = who.profile
        self._clock = clock
        self._random = random
        self._on_change = on_change
        self.incarnation = 0
        self._trouble = ""
        self._hurry = asyncio.Event()

    async def hello(self, last_incarnation: int) -> agent_pb2.HelloResponse:
        """Draw a new incarnation, for as long as it takes. Refusals that waiting will not mend are logged each time:
        an admin may join the site a minute later."""
        request = agent_pb2.HelloRequest(
            site=self._who.site,
            uid=self._who.uid,
            last_incarnation=last_incarnation,
            machine_id=self._who.machine_id,
            sealing_key=self._who.sealing_key,
            version=self._who.version,
            peer_address=self._who.peer_address,
            after=last_incarnation,
        )
        delay = RETRY_FIRST_S
        while True:
            try:
                answer = await self._endpoints.first_that_answers(
                    lambda address: self._transport.coordinator(address).hello(request, timeout_s=HELLO_TIMEOUT_S)
                )
            except FederationError as error:
                log.warning("hello.failed", error=error.message, help=error.help, retry_s=round(delay, 1))
                await self._clock.sleep(delay * (0.5 + self._random.random()))
                delay = min(delay * 2, RETRY_MOST_S)
                continue
            if answer.ask_again:  # the journal is lost, or an answer was: somebody before this one has drawn since
                request.after = answer.incarnation
                await self._clock.sleep(AGAIN_S)
                continue
            self._endpoints.learn(tuple(answer.coordinators))
            self.incarnation = answer.incarnation
            return answer

    async def renew_forever(self, members_version: Callable[[], int]) -> None:
        """Renew every r seconds. OldIncarnation ends the agent: a newer one speaks for the site."""
        while True:
            began = self._clock.mono()
            try:
                await self._renew(members_version())
                self._note("")
            except OldIncarnation:
                raise
            except FederationError as error:
                self._note(error.message)
            spent = self._clock.mono() - began
            # a renewal carries everything that the site holds: asking at once must not become asking all the time
            pause_s = min(self._profile.renew_s, max(LEAST_PAUSE_S, PAUSE_PER_SPENT * spent))
            await self._clock.sleep(pause_s)
            try:
                async with asyncio.timeout(max(0.0, self._profile.renew_s - spent - pause_s)):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()

    def renew_soon(self) -> None:
        """Something is wanted here that is not held yet: the grant need not wait for the next renewal in turn."""
        self._hurry.set()

    def _note(self, trouble: str) -> None:
        """One line when renewals begin to fail, one when they work again; not one for each."""
        if bool(trouble) != bool(self._trouble):
            if trouble:
                log.warning("renewal.failed", error=trouble)
            else:
                log.info("renewal.works")
        self._trouble = trouble

    async def _renew(self, members_version: int) -> None:
        async def attempt(address: str) -> agent_pb2.RenewResponse:
            holdings = await self._holdings() if self._fault else None
            request = agent_pb2.RenewRequest(
                site=self._who.site,
                uid=self._who.uid,
                incarnation=self.incarnation,
                seq=self._lease.next_seq(),
                heard=self._lease.heard,
                fenced=self._lease.fenced(),
                armable=not self._lease.not_armable(),
                members_ack=members_version,
                claims=[agent_pb2.Claim(hub=h, epoch=wire_epoch(e)) for h, e in self._lease.claims().items()],
                holdings=holdings,
            )
            timeout_s = max(1.0, self._profile.renew_s)
            try:
                return await self._transport.coordinator(address).renew(request, timeout_s=timeout_s)
            except RegisterFault:
                self._fault = True
                raise

        answer = await self._endpoints.first_that_answers(attempt)
        self._fault = answer.recovering
        self._endpoints.leader = answer.leader or self._endpoints.leader
        members = tuple(Member(site=m.site, uid=m.uid, peer_address=m.peer_address) for m in answer.members)
        if self._lease.process(read_answer(answer), (answer.members_version, members)):
            self._on_change()

    async def talk_forever(self, talk: Talk) -> None:
        """Keep one stream to the leader; after any end dial again, following the leader."""
        delay = RETRY_FIRST_S
        while True:
            began = self._clock.mono()
            address = self._endpoints.for_session()
            try:
                await self._talk_once(address, talk)
                log.info("session.ended", coordinator=address)
            except NotLeader as error:
                self._endpoints.leader = error.details.get("leader", "")
            except OldIncarnation:
                raise
            except FederationError as error:
                log.info("session.lost", coordinator=address, error=error.message)
                if self._endpoints.leader == address:
                    self._endpoints.leader = ""
            lasted = self._clock.mono() - began
            delay = RETRY_FIRST_S if lasted > RETRY_MOST_S else min(delay * 2, RETRY_MOST_S)
            await self._clock.sleep(delay * (0.5 + 0.5 * self._random.random()))

    async def _talk_once(self, address: str, talk: Talk) -> None:
        opened = agent_pb2.SessionOpen(site=self._who.site, uid=self._who.uid, incarnation=self.incarnation)

        saying = talk.connected()

        async def outgoing() -> AsyncIterator[agent_pb2.AgentMessage]:
            yield agent_pb2.AgentMessage(open=opened)
            async for message in saying:
                yield message

        async with aclosing(self._transport.coordinator(address).session(outgoing())) as incoming:
            while True:
                try:
                    async with asyncio.timeout(SILENCE_S):
                        message = await anext(incoming, None)
                except TimeoutError:
                    raise Unavailable(f"{address} said nothing for {SILENCE_S:g} s") from None
                if message is None:
                    return
                talk.received(message)


class Talk(Protocol):
    """The agent's half of the conversation; the reconciler implements it."""

    def connected(self) -> AsyncIterator[agent_pb2.AgentMessage]:
        """A new stream: what to tell the leader on it, everything anew, until the next one."""
        ...

    def received(self, message: agent_pb2.CoordinatorMessage) -> None:
        """What the leader says. Must not block."""
        ...


def wire_epoch(epoch: Epoch) -> types_pb2.Epoch:
    """To the wire."""
    return types_pb2.Epoch(era=epoch.era, n=epoch.n)


def read_epoch(message: types_pb2.Epoch) -> Epoch:
    """From the wire."""
    return Epoch(era=message.era, n=message.n)


def read_answer(message: agent_pb2.RenewResponse) -> Answer:
    """From the wire."""
    return Answer(
        register=RegisterId(uuid=message.register.uuid, era=message.register.era),
        revision=message.revision,
        seq=message.seq,
        granted=message.granted,
        grants={g.hub: Granted(read_epoch(g.epoch), Mode(g.mode)) for g in message.grants},
        revoked={r.hub: read_epoch(r.epoch) for r in message.revoked},
        unknown=tuple(message.unknown),
        recovering=message.recovering,
    )
