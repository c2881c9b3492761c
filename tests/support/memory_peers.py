"""Agents that ask each other in memory (`agents.failsafe.Peers`), over the lines of `MemoryTransport`."""

from __future__ import annotations

from dataclasses import dataclass

from federation.api.v1 import agent_pb2
from federation.model.errors import Unavailable
from federation.model.identity import Member
from tests.support.memory_transport import MemoryTransport


@dataclass(frozen=True, slots=True)
class MemoryPeers:
    """The other agents as the agent of `site` reaches them."""

    network: MemoryTransport
    site: str

    async def ask(
        self, member: Member, request: agent_pb2.FailsafeRequest, *, timeout_s: float
    ) -> agent_pb2.FailsafeResponse:
        cut = self.network.cut & {self.site, member.site}
        service = self.network.agents.get(member.peer_address)
        if cut or service is None:
            raise Unavailable(f"{member.peer_address} does not answer", definite=True)
        if (service.site, service.uid) != (member.site, member.uid):
            raise Unavailable("its certificate names somebody else", definite=True)
        answer = await service.Ask(request, None)
        if self.site in self.network.deaf:
            raise Unavailable("the answer was lost")
        return answer
