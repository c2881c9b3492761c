"""`agents.link.Transport` over the simulated network, and what the history has of renewals: sent, answered."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from agents.link import Coordinator
from federation.api.v1 import agent_pb2
from federation.model.errors import FederationError, Unavailable
from tests.support.sim import history as h
from tests.support.sim.loop import Process
from tests.support.sim.network import KEPT, Network, Pipe

CONNECT_S = 2.0


@dataclass(slots=True)
class SimTransport:
    """The network as one agent process sees it."""

    network: Network
    site: str
    process: Process
    history: h.History
    answers: deque[agent_pb2.RenewResponse] = field(default_factory=lambda: deque(maxlen=KEPT))

    def coordinator(self, address: str) -> Coordinator:
        return SimCoordinator(self, address)


@dataclass(frozen=True, slots=True)
class SimCoordinator:
    """One address."""

    transport: SimTransport
    address: str

    async def hello(self, request: agent_pb2.HelloRequest, *, timeout_s: float) -> agent_pb2.HelloResponse:
        network = self.transport.network
        return await network.call(
            self.transport.site, self.address, lambda replica: replica.agent_service.Hello(request, None), timeout_s
        )

    async def renew(self, request: agent_pb2.RenewRequest, *, timeout_s: float) -> agent_pb2.RenewResponse:
        transport, network = self.transport, self.transport.network
        loop, host = network.loop, transport.process.host
        sent = h.RenewalSent(loop.true_s, request.site, request.incarnation, request.seq, host.time(loop.true_s))
        transport.history.add(sent)
        answer = await network.call(
            transport.site, self.address, lambda replica: self._renew(replica, request), timeout_s, loose=True
        )
        older = [a for a in transport.answers if a.seq != answer.seq]
        if older and network.random.random() < network.weather.stale:
            network.counts["stale answers"] += 1
            transport.answers.append(answer)
            answer = network.random.choice(older)
        self._note(request, answer)
        return answer

    async def _renew(self, replica: Any, request: agent_pb2.RenewRequest) -> agent_pb2.RenewResponse:
        answer: agent_pb2.RenewResponse = await replica.agent_service.Renew(request, None)
        self.transport.answers.append(answer)
        return answer

    def _note(self, request: agent_pb2.RenewRequest, answer: agent_pb2.RenewResponse) -> None:
        self.transport.history.add(
            h.Answered(
                self.transport.network.loop.true_s,
                request.site,
                request.incarnation,
                answer.seq,
                answer.granted,
                {g.hub: h.Grant((g.epoch.era, g.epoch.n), g.mode) for g in answer.grants},
                {r.hub: (r.epoch.era, r.epoch.n) for r in answer.revoked},
                late=answer.seq != request.seq,
            )
        )

    async def session(
        self, outgoing: AsyncIterator[agent_pb2.AgentMessage]
    ) -> AsyncGenerator[agent_pb2.CoordinatorMessage]:
        network, here = self.transport.network, self.transport.site
        server = await network.call(here, self.address, _connect, CONNECT_S)
        pipe = Pipe(network, (here, self.address), (self.transport.process, server))
        replica = network.servers[self.address][1] if network.servers.get(self.address, (None,))[0] is server else None
        if replica is None:
            pipe.break_off()
            raise Unavailable(f"{self.address} went away")
        network.loop.spawn(server, _serve(replica, pipe))
        pump = network.loop.create_task(_pump(outgoing, pipe))
        try:
            while True:
                item = await pipe.get(0)
                if item is None:
                    return
                if isinstance(item, FederationError):
                    raise item
                yield item
        finally:
            pump.cancel()
            network.loop.after(network.delay_s(), pipe.break_off)


async def _connect(replica: Any) -> Process:
    process: Process = replica.process
    return process


async def _pump(outgoing: AsyncIterator[agent_pb2.AgentMessage], pipe: Pipe) -> None:
    async for message in outgoing:
        pipe.put(1, message)


async def _serve(replica: Any, pipe: Pipe) -> None:
    async def incoming() -> AsyncIterator[agent_pb2.AgentMessage]:
        while True:
            yield await pipe.get(1)

    try:
        async for message in replica.agent_service.Session(incoming(), None):
            if pipe.broken:
                return
            pipe.put(0, message)
        pipe.put(0, None)
    except FederationError as error:
        pipe.put(0, error)
