"""The agent's transport over gRPC with mutual TLS: one channel per coordinator, one per agent that is asked."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from agents.link import Coordinator
from federation.api.v1 import agent_pb2, agent_pb2_grpc
from federation.model.identity import Member
from federation.runtime.grpc_client import Channels, call, stream
from federation.runtime.identity_uri import agent_host


@dataclass(frozen=True, slots=True)
class GrpcTransport:
    """`agents.link.Transport`."""

    channels: Channels

    def coordinator(self, address: str) -> Coordinator:
        return GrpcCoordinator(agent_pb2_grpc.AgentServiceStub(self.channels.to(address)))


class GrpcCoordinator:
    """One coordinator."""

    def __init__(self, stub: agent_pb2_grpc.AgentServiceStub) -> None:
        self._stub = stub

    async def hello(self, request: agent_pb2.HelloRequest, *, timeout_s: float) -> agent_pb2.HelloResponse:
        return await call(self._stub.Hello, request, timeout_s)  # type: ignore[arg-type]

    async def renew(self, request: agent_pb2.RenewRequest, *, timeout_s: float) -> agent_pb2.RenewResponse:
        return await call(self._stub.Renew, request, timeout_s)  # type: ignore[arg-type]

    def session(self, outgoing: AsyncIterator[agent_pb2.AgentMessage]) -> AsyncGenerator[agent_pb2.CoordinatorMessage]:
        return stream(self._stub.Session, outgoing)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class GrpcPeers:
    """`agents.failsafe.Peers`. TLS makes sure that who answers is (site, uid)."""

    channels: Channels

    async def ask(
        self, member: Member, request: agent_pb2.FailsafeRequest, *, timeout_s: float
    ) -> agent_pb2.FailsafeResponse:
        channel = self.channels.to(member.peer_address, agent_host(member.site, member.uid))
        stub = agent_pb2_grpc.PeerServiceStub(channel)
        return await call(stub.Ask, request, timeout_s)
