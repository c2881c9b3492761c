"""Agents and coordinators connected in memory: the same services, without sockets, for federations on virtual time.

Replicas are registered under their address; cutting an address makes calls to it fail as a dead host would.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from agents.link import Coordinator
from federation.api.v1 import agent_pb2
from federation.coordinator.replica import Replica
from federation.model.errors import Unavailable


@dataclass(slots=True)
class MemoryTransport:
    """`agents.link.Transport` over a table of replicas."""

    replicas: dict[str, Replica] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)

    def coordinator(self, address: str) -> Coordinator:
        return MemoryCoordinator(self, address)

    def replica(self, address: str) -> Replica:
        if address in self.cut or address not in self.replicas:
            raise Unavailable(f"{address} does not answer", definite=True)
        return self.replicas[address]


@dataclass(frozen=True, slots=True)
class MemoryCoordinator:
    """One address, as the agent calls it."""

    transport: MemoryTransport
    address: str

    async def hello(self, request: agent_pb2.HelloRequest, *, timeout_s: float) -> agent_pb2.HelloResponse:
        return await self.transport.replica(self.address).agent_service.Hello(request, None)

    async def renew(self, request: agent_pb2.RenewRequest, *, timeout_s: float) -> agent_pb2.RenewResponse:
        return await self.transport.replica(self.address).agent_service.Renew(request, None)

    async def session(
        self, outgoing: AsyncIterator[agent_pb2.AgentMessage]
    ) -> AsyncGenerator[agent_pb2.CoordinatorMessage]:
        service = self.transport.replica(self.address).agent_service
        async for message in service.Session(outgoing, None):
            yield message
