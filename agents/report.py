"""What the agent tells the leader: whole at the start of a session, then only what changed, and a sign of life."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from agents.drivers.base import ClusterView, HubView
from agents.link import wire_epoch
from federation.api.v1 import agent_pb2, types_pb2
from federation.model.identity import Epoch
from federation.model.status import Condition, RosterEntry
from federation.runtime.parts import in_parts

SIGN_OF_LIFE_S = 5.0
PART_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What planned moves need to know of a hub: the newest epoch that this site gave up for ever, and the run of a copy
    that was made since it was last stopped."""

    released: Epoch | None = None
    final_run: str = ""


@dataclass(eq=False, slots=True)
class _Stream:
    """What one session has yet to send. Each has its own, so that a dying stream cannot swallow a newer one's news."""

    whole: bool = True
    changed: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    answers: deque[agent_pb2.Answer] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Reporter:
    """Collects reports of the reconciler; the stream of the newest session carries them to the leader."""

    def __init__(self, kind: str, version: str, hub_version: str = "") -> None:
        self._kind = kind
        self._version = version
        self._hub_version = hub_version
        self._site = agent_pb2.SiteReport(kind=kind, version=version, hub_version=hub_version)
        self._hubs: dict[str, agent_pb2.HubReport] = {}
        self._rosters: dict[str, tuple[RosterEntry, ...]] = {}
        self._stream = _Stream()
        self._looked = False

    @property
    def has_looked(self) -> bool:
        """Whether everything that runs here was looked at once."""
        return self._looked

    def looked(self) -> None:
        """Everything that runs here was looked at once: from now on a report says what is not here, too."""
        if not self._looked:
            self._looked = True
            self._stream.news.set()

    @property
    def backlog(self) -> int:
        """Pieces of answers that wait for the stream."""
        return len(self._stream.answers)

    def site(self, edge_address: str, cluster: ClusterView) -> None:
        """The site as a whole."""
        report = agent_pb2.SiteReport(
            capacity=types_pb2.Capacity(
                cpu_millis=cluster.capacity.cpu_millis, memory_bytes=cluster.capacity.memory_bytes
            ),
            used=types_pb2.Capacity(cpu_millis=cluster.used.cpu_millis, memory_bytes=cluster.used.memory_bytes),
            edge_address=edge_address,
            conditions=[wire_condition(c) for c in cluster.conditions],
            kind=self._kind,
            version=self._version,
            hub_version=self._hub_version,
        )
        if report != self._site:
            self._site = report
            self._stream.news.set()

    def describe(self, holdings: agent_pb2.Holdings) -> None:
        """Put what is known of the site as a whole into a report for a recovery."""
        holdings.capacity.CopyFrom(self._site.capacity)
        holdings.edge_address = self._site.edge_address

    def roster(self, hub: str, users: tuple[RosterEntry, ...]) -> None:
        """Users that the hub knows; goes out with the hub's next report."""
        self._rosters[hub] = users

    def hub(
        self,
        view: HubView,
        epoch: Epoch | None,
        *,
        gate_open: bool,
        message: str,
        homes: str,
        given_up: GivenUp | None = None,
    ) -> None:
        """One hub as it was just seen."""
        report = agent_pb2.HubReport(
            hub=view.hub,
            generation=view.generation,
            phase=view.phase.value,
            gate_open=gate_open,
            message=message,
            hub_address=view.address,
            servers=view.servers,
            outdated_servers=view.outdated_servers,
            processes=view.processes,
            used=view.used,
            homes=homes,
            roster=[agent_pb2.RosterEntry(name=u.name, admin=u.admin) for u in self._rosters.get(view.hub, ())],
            conditions=[wire_condition(c) for c in view.conditions],
            draining=view.draining,
            active_servers=view.active_servers,
            final_run=given_up.final_run if given_up is not None else "",
        )
        if given_up is not None and given_up.released is not None:
            report.released.CopyFrom(wire_epoch(given_up.released))
        if epoch is not None:
            report.epoch.CopyFrom(wire_epoch(epoch))
        if self._hubs.get(view.hub) != report:
            self._hubs[view.hub] = report
            self._stream.gone.discard(view.hub)
            self._stream.changed.add(view.hub)
            self._stream.news.set()

    def gone(self, hub: str) -> None:
        """Nothing of the hub is left here and nobody asks about it."""
        if self._hubs.pop(hub, None) is not None:
            self._rosters.pop(hub, None)
            self._stream.changed.discard(hub)
            self._stream.gone.add(hub)
            self._stream.news.set()

    def answer(self, answer: agent_pb2.Answer) -> None:
        """A piece of an answer to a question of the leader."""
        self._stream.answers.append(answer)
        self._stream.news.set()

    def session_began(self) -> AsyncIterator[agent_pb2.AgentMessage]:
        """Everything that goes up on a new stream, whole first; answers of an earlier session are void, and its
        iterator ends."""
        self._stream.news.set()
        self._stream = _Stream()
        self._stream.news.set()
        return self._messages(self._stream)

    async def _messages(self, stream: _Stream) -> AsyncIterator[agent_pb2.AgentMessage]:
        while True:
            try:
                async with asyncio.timeout(SIGN_OF_LIFE_S):
                    await stream.news.wait()
            except TimeoutError:
                pass
            if self._stream is not stream:
                return
            stream.news.clear()
            while stream.answers:
                yield agent_pb2.AgentMessage(answer=stream.answers.popleft())
            if not self._looked:
                continue  # absence is concluded from a whole report: first look at everything
            for observed in self._observed(stream):
                yield agent_pb2.AgentMessage(observed=observed)

    def _observed(self, stream: _Stream) -> list[agent_pb2.Observed]:
        names = set(self._hubs) if stream.whole else stream.changed
        parts = in_parts((self._hubs[name] for name in sorted(names)), PART_BYTES) or [[]]
        reports = [
            agent_pb2.Observed(whole=stream.whole and n == 0, site=self._site, hubs=part)
            for n, part in enumerate(parts)
        ]
        for report in reports[:-1]:
            report.more = stream.whole
        reports[-1].gone.extend(sorted(stream.gone))
        stream.whole, stream.changed, stream.gone = False, set(), set()
        return reports


def wire_condition(condition: Condition) -> types_pb2.Condition:
    """To the wire; since when it holds is counted by the leader."""
    return types_pb2.Condition(
        type=condition.type.value,
        status=condition.status.value,
        reason=condition.reason,
        message=condition.message,
    )
