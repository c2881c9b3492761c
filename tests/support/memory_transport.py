"""Agents and coordinators connected in memory: the same services, without sockets, for federations on virtual time.

Replicas are registered under their address; cutting an address makes calls to it fail as a dead host would.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field

from agents.link import Coordinator
from agents.peer_service import PeerService
from federation.api.v1 import agent_pb2
from federation.coordinator.replica import Replica
from federation.model.errors import Unavailable


@dataclass(slots=True)
class MemoryTransport:
    """The network: replicas and agents by address. What is in `cut` (an address or the name of a site) reaches nobody; a
    site in `away` reaches no coordinator, but other agents; one in `deaf` is heard, and hears nothing."""

    replicas: dict[str, Replica] = field(default_factory=dict)
    agents: dict[str, PeerService] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    cut: set[str] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)

    def of(self, site: str) -> SiteTransport:
        """The network as seen from a site."""
        return SiteTransport(self, site)

    def replica(self, site: str, address: str) -> Replica:
        if self.cut & {site, address} or site in self.away or address not in self.replicas:
            raise Unavailable(f"{address} does not answer", definite=True)
        return self.replicas[address]

    def check_answer(self, site: str, address: str) -> None:
        if self.cut & {site, address} or site in self.away | self.deaf:
            raise Unavailable(f"the answer of {address} was lost")


@dataclass(frozen=True, slots=True)
class SiteTransport:
    """`agents.link.Transport`."""

    network: MemoryTransport
    site: str

    def coordinator(self, address: str) -> Coordinator:
        return MemoryCoordinator(self.network, self.site, address)


@dataclass(frozen=True, slots=True)
class MemoryCoordinator:
    """One address, as the agent of one site calls it."""

    network: MemoryTransport
    site: str
    address: str

    async def hello(self, request: agent_pb2.HelloRequest, *, timeout_s: float) -> agent_pb2.HelloResponse:
        answer = await self.network.replica(self.site, self.address).agent_service.Hello(request, None)
        self.network.check_answer(self.site, self.address)
        return answer

    async def renew(self, request: agent_pb2.RenewRequest, *, timeout_s: float) -> agent_pb2.RenewResponse:
        answer = await self.network.replica(self.site, self.address).agent_service.Renew(request, None)
        self.network.check_answer(self.site, self.address)
        return answer

    async def session(
        self, outgoing: AsyncIterator[agent_pb2.AgentMessage]
    ) -> AsyncGenerator[agent_pb2.CoordinatorMessage]:
        service = self.network.replica(self.site, self.address).agent_service

        async def carried() -> AsyncIterator[agent_pb2.AgentMessage]:
            async for message in outgoing:
                self.network.replica(self.site, self.address)
                yield message

        async for message in service.Session(carried(), None):
            self.network.check_answer(self.site, self.address)
            yield message
