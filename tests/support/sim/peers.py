"""`agents.failsafe.Peers` over the simulated network, and what was truly asked, promised and heard."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

from agents.peer_service import PeerService
from federation.api.v1 import agent_pb2
from federation.model.errors import Unavailable
from federation.model.identity import Member
from tests.support.sim.history import History
from tests.support.sim.history_promises import Promised, PromiseHeard, RoundBegun
from tests.support.sim.loop import Host, Process
from tests.support.sim.network import KEPT, Network

Answer = agent_pb2.FailsafeResponse


@dataclass(slots=True)
class SimPeers:
    """The other agents as the agent of `site` reaches them. An old answer may come in place of the new one, as renewals'
    may: it names another round."""

    network: Network
    site: str
    process: Process
    history: History
    hosts: dict[str, Host]
    _nonce: int = 0
    _older: dict[str, deque[Answer]] = field(default_factory=lambda: defaultdict(lambda: deque(maxlen=KEPT)))

    async def ask(self, member: Member, request: agent_pb2.FailsafeRequest, *, timeout_s: float) -> Answer:
        network, now = self.network, self.network.loop.true_s
        if request.nonce != self._nonce:
            self._nonce = request.nonce
            hubs = {claim.hub: (claim.epoch.era, claim.epoch.n) for claim in request.hubs}
            self.history.add(RoundBegun(now, self.site, request.nonce, self.process.host.time(now), hubs))

        async def answered(service: PeerService) -> Answer:
            if (service.site, service.uid) != (member.site, member.uid):
                raise Unavailable("its certificate names somebody else", definite=True)
            answer = await service.Ask(request, None)
            self._note(request, answer)
            return answer

        answer = await network.call(self.site, member.site, answered, timeout_s)
        older = self._older[member.site]
        if older and network.random.random() < network.weather.stale:
            network.counts["stale promises"] += 1
            older.append(answer)
            answer = older[0]
        else:
            older.append(answer)
        promised = frozenset(one.hub for one in answer.hubs if one.promised)
        heard = PromiseHeard(network.loop.true_s, self.site, (answer.site, answer.uid), answer.nonce, promised)
        self.history.add(heard)
        return answer

    def _note(self, request: agent_pb2.FailsafeRequest, answer: Answer) -> None:
        now = self.network.loop.true_s
        own_s = self.hosts[answer.site].time(now)
        epochs = {claim.hub: (claim.epoch.era, claim.epoch.n) for claim in request.hubs}
        for one in answer.hubs:
            said = Promised(now, answer.site, own_s, request.site, one.hub, epochs[one.hub], one.promised)
            self.history.add(said)
