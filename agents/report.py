"""What the agent tells the leader: whole at the start of a session, then only what changed, and a sign of life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from agents.drivers.base import ClusterView, HubView
from agents.link import wire_epoch
from federation.api.v1 import agent_pb2, types_pb2
from federation.model.identity import Epoch
from federation.model.status import Condition, RosterEntry

SIGN_OF_LIFE_S = 5.0


class Reporter:
    """Collects reports of the reconciler; `next_message` waits for news."""

    def __init__(self, kind: str, version: str) -> None:
        self._kind = kind
        self._version = version
        self._site = agent_pb2.SiteReport(kind=kind, version=version)
        self._hubs: dict[str, agent_pb2.HubReport] = {}
        self._rosters: dict[str, tuple[RosterEntry, ...]] = {}
        self._changed: set[str] = set()
        self._gone: set[str] = set()
        self._answers: list[agent_pb2.Answer] = []
        self._news = asyncio.Event()
        self._whole = False

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
        )
        if report != self._site:
            self._site = report
            self._news.set()

    def roster(self, hub: str, users: tuple[RosterEntry, ...]) -> None:
        """Users that the hub knows; goes out with the hub's next report."""
        self._rosters[hub] = users

    def hub(self, view: HubView, epoch: Epoch | None, *, gate_open: bool, message: str, homes: str) -> None:
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
            homes=homes,
            roster=[agent_pb2.RosterEntry(name=u.name, admin=u.admin) for u in self._rosters.get(view.hub, ())],
            conditions=[wire_condition(c) for c in view.conditions],
        )
        if epoch is not None:
            report.epoch.CopyFrom(wire_epoch(epoch))
        if self._hubs.get(view.hub) != report:
            self._hubs[view.hub] = report
            self._gone.discard(view.hub)
            self._changed.add(view.hub)
            self._news.set()

    def gone(self, hub: str) -> None:
        """Nothing of the hub is left here and nobody asks about it."""
        if self._hubs.pop(hub, None) is not None:
            self._rosters.pop(hub, None)
            self._changed.discard(hub)
            self._gone.add(hub)
            self._news.set()

    def answer(self, answer: agent_pb2.Answer) -> None:
        """A piece of an answer to a question of the leader."""
        self._answers.append(answer)
        self._news.set()

    def session_began(self) -> None:
        """The next report carries everything; answers of an earlier session are void."""
        self._whole = True
        self._answers.clear()
        self._news.set()

    async def messages(self) -> AsyncIterator[agent_pb2.AgentMessage]:
        """Everything that goes up, until cancelled."""
        while True:
            try:
                async with asyncio.timeout(SIGN_OF_LIFE_S):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            while self._answers:
                yield agent_pb2.AgentMessage(answer=self._answers.pop(0))
            yield agent_pb2.AgentMessage(observed=self._observed())

    def _observed(self) -> agent_pb2.Observed:
        names = set(self._hubs) if self._whole else self._changed
        observed = agent_pb2.Observed(
            site=self._site, hubs=[self._hubs[name] for name in sorted(names)], gone=sorted(self._gone)
        )
        self._whole = False
        self._changed = set()
        self._gone = set()
        return observed


def wire_condition(condition: Condition) -> types_pb2.Condition:
    """To the wire; since when it holds is counted by the leader."""
    return types_pb2.Condition(
        type=condition.type.value,
        status=condition.status.value,
        reason=condition.reason,
        message=condition.message,
    )
