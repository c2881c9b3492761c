"""The leader's open streams to agents: wanted goes down in parts, observed comes up, questions are asked and answered.

At most one session per site: a newer incarnation, or the same one dialling again, replaces the older stream. Streams
are hints: losing one loses nothing, the agent dials again and both sides send everything anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from random import Random

import structlog

from federation.api.v1 import agent_pb2
from federation.coordinator.wanted import WantedBuilder, register_message
from federation.model.errors import DeadlineExceeded, NotFound, Unavailable
from federation.model.identity import RegisterId
from federation.runtime.clock import Clock
from federation.runtime.parts import in_parts

log = structlog.get_logger(__name__)

PART_BYTES = 1 << 20  # a part stays far below gRPC's message limit
SETTLE_S = 0.05  # changes that come together go out together
RELIST_S = 20.0
LOST = "its session ended before it answered"
MOST_CHUNKS = 1000  # of an answer that nobody reads


class AgentSession:
    """One agent's stream."""

    def __init__(
        self, site: str, incarnation: int, builder: WantedBuilder, identity: RegisterId, leader_epoch: int
    ) -> None:
        self.site = site
        self.incarnation = incarnation
        self._builder = builder
        self._identity = identity
        self._leader_epoch = leader_epoch
        self._dirty: set[str] = set()
        self._sent: dict[str, agent_pb2.WantedHub] = {}
        self._asks: list[agent_pb2.Ask] = []
        self.asked: set[str] = set()
        self._wake = asyncio.Event()
        self._ended = False

    def hub_changed(self, hub: str) -> None:
        """The register has news about this hub; an empty name means any hub."""
        self._dirty.update({hub} if hub else self._builder.hubs() | self._sent.keys())
        self._wake.set()

    def ask(self, ask: agent_pb2.Ask) -> None:
        """Put a question to the agent."""
        self.asked.add(ask.id)
        self._asks.append(ask)
        self._wake.set()

    def end(self) -> None:
        """Close the stream from our side."""
        self._ended = True
        self._wake.set()

    async def outgoing(self, clock: Clock) -> AsyncIterator[agent_pb2.CoordinatorMessage]:
        """Everything that goes to the agent, until the session ends."""
        self._dirty = self._builder.hubs()
        first = True
        while not self._ended:
            for part in self._parts(even_empty=first):
                yield agent_pb2.CoordinatorMessage(wanted=part)
            first = False
            while self._asks:
                yield agent_pb2.CoordinatorMessage(ask=self._asks.pop(0))
            try:
                async with asyncio.timeout(RELIST_S):
                    await self._wake.wait()
            except TimeoutError:
                self._dirty = self._builder.hubs() | self._sent.keys()
                first = True  # nothing may have changed: an empty part is the leader's sign of life
            await clock.sleep(SETTLE_S)
            self._wake.clear()

    def _parts(self, *, even_empty: bool) -> list[agent_pb2.Wanted]:
        """What changed since the last part; nothing if nothing did, unless an empty part is asked for."""
        changed: list[agent_pb2.WantedHub] = []
        gone: list[str] = []
        revision = self._builder.snapshot.mirror.revision
        for hub in sorted(self._dirty):
            wanted = self._builder.build(hub)
            if wanted is None:
                if self._sent.pop(hub, None) is not None:
                    gone.append(hub)
            elif self._sent.get(hub) != wanted:
                self._sent[hub] = wanted
                changed.append(wanted)
        self._dirty.clear()
        if not (changed or gone or even_empty):
            return []
        chunks = in_parts(changed, PART_BYTES) or [[]]
        parts = [
            agent_pb2.Wanted(
                register=register_message(self._identity),
                revision=revision,
                leader_epoch=self._leader_epoch,
                hubs=chunk,
            )
            for chunk in chunks
        ]
        parts[-1].gone.extend(gone)
        parts[-1].complete = True
        return parts


class Sessions:
    """All open sessions of this leader, and the answers that are awaited."""

    def __init__(self, clock: Clock, random: Random) -> None:
        self._clock = clock
        self._random = random
        self._open: dict[str, AgentSession] = {}
        self._answers: dict[str, asyncio.Queue[agent_pb2.Answer]] = {}

    def opened(self, session: AgentSession) -> None:
        """Register a session, ending an older one of the same site."""
        older = self._open.get(session.site)
        if older is not None:
            older.end()
        self._open[session.site] = session
        log.info("session.opened", site=session.site, incarnation=session.incarnation)

    def closed(self, session: AgentSession) -> None:
        """Forget a session, unless a newer one took its place."""
        for ask_id in session.asked & self._answers.keys():
            lost = agent_pb2.Answer(id=ask_id, error=LOST, done=True)
            self._answers[ask_id].put_nowait(lost)
        if self._open.get(session.site) is session:
            del self._open[session.site]
            log.info("session.closed", site=session.site, incarnation=session.incarnation)

    def changed(self, site: str, hub: str) -> None:
        """The register has news about a hub of this site (empty `site`: of any site)."""
        for session in list(self._open.values()) if not site else filter(None, [self._open.get(site)]):
            session.hub_changed(hub)

    def end_all(self) -> None:
        """Leadership ended, or the daemon stops: agents look for the new leader."""
        for session in list(self._open.values()):
            session.end()

    def answer(self, answer: agent_pb2.Answer) -> None:
        """Hand an answer to whoever asked; late ones are dropped."""
        queue = self._answers.get(answer.id)
        if queue is not None and queue.qsize() < MOST_CHUNKS:
            queue.put_nowait(answer)

    async def ask(self, site: str, ask: agent_pb2.Ask, *, limit_s: float) -> agent_pb2.Answer:
        """Put one question to the site's agent and wait for its one answer. Unavailable if no agent is connected,
        DeadlineExceeded if it does not answer in time; what the agent says against it is in the answer's `error`."""
        session = self._open.get(site)
        if session is None:
            raise Unavailable(f"{site}: no agent is connected to the leader")
        ask.id = f"{self._random.getrandbits(64):016x}"
        queue = self._answers[ask.id] = asyncio.Queue()
        session.ask(ask)
        try:
            async with asyncio.timeout(limit_s):
                return await queue.get()
        except TimeoutError:
            raise DeadlineExceeded(f"{site}: the agent did not answer within {limit_s:g} s") from None
        finally:
            del self._answers[ask.id]
            session.asked.discard(ask.id)

    async def logs(self, site: str, ask: agent_pb2.LogsAsk, *, silence_s: float) -> AsyncGenerator[bytes]:
        """Ask the site's agent for a log. Raises Unavailable if no agent is connected or it falls silent
        (a followed log may be silent for as long as it likes)."""
        silence = None if ask.follow else silence_s
        async with aclosing(self.follow(site, agent_pb2.Ask(logs=ask), silence_s=silence)) as answers:
            async for answer in answers:
                if answer.error:
                    raise NotFound(f"{site}: {answer.error}")
                if answer.chunk:
                    yield answer.chunk

    async def follow(
        self, site: str, ask: agent_pb2.Ask, *, silence_s: float | None
    ) -> AsyncGenerator[agent_pb2.Answer]:
        """Put a question to the site's agent, and hear all of its answers. Whoever leaves earlier has the agent told.
        Unavailable if no agent is connected, if it is silent for `silence_s`, or if its stream breaks."""
        session = self._open.get(site)
        if session is None:
            raise Unavailable(f"{site}: no agent is connected to the leader")
        ask.id = f"{self._random.getrandbits(64):016x}"
        queue = self._answers[ask.id] = asyncio.Queue()
        session.ask(ask)
        try:
            while True:
                try:
                    async with asyncio.timeout(silence_s):
                        answer = await queue.get()
                except TimeoutError:
                    raise Unavailable(f"{site}: the agent did not answer within {silence_s:g} s") from None
                if answer.error == LOST:
                    raise Unavailable(f"{site}: {LOST}")
                yield answer
                if answer.done:
                    return
        finally:
            del self._answers[ask.id]
            session.ask(agent_pb2.Ask(id=ask.id, cancel=agent_pb2.CancelAsk()))
            session.asked.discard(ask.id)
