"""Seals this site's secrets to the other sites while the register is at fault, so that classes that only this site knows
can be taken over again.

Whom it seals to is never a coordinator's word, which could name anybody's key: each member's agent is asked itself, over
the line of the failsafe, where its certificate proves who it is. Sites that the class does not allow get nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from agents.failsafe import Peers
from agents.journal import Journal
from agents.link import Self
from federation.api.v1 import agent_pb2
from federation.model.errors import FederationError
from federation.model.identity import Member
from federation.runtime.sealing import SealingKey, seal

ASK_S = 2.0
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Resealing:
    """`look` asks members whose keys are not known yet; `boxes` seals to those that are."""

    who: Self
    journal: Journal
    sealing: SealingKey
    peers: Peers | None
    _keys: dict[tuple[str, str], str] = field(default_factory=dict)  # (site, uid) -> public key
    _sealed: dict[tuple[str, str, str, bytes], bytes] = field(default_factory=dict)  # a box is made once: each differs

    async def look(self) -> None:
        """Ask all at once. Who does not answer is asked the next time."""
        members = [m for m in self.journal.record.members if m.site != self.who.site and m.peer_address]
        await asyncio.gather(*(self._ask(m) for m in members if (m.site, m.uid) not in self._keys))

    def boxes(self, directive: agent_pb2.WantedHub) -> list[agent_pb2.SealedFor]:
        """Every secret of the hub, for every other site that it allows."""
        allow, found = set(directive.spec.placement.allow), list[agent_pb2.SealedFor]()
        for (site, _uid), key in sorted(self._keys.items()):
            for name, box in sorted(directive.sealed.items()) if not allow or site in allow else ():
                try:
                    sealed = self._seal(name, site, key, box)
                except FederationError as error:
                    log.warning("secret.not-resealed", hub=directive.hub, site=site, error=error.message)
                    continue
                found.append(agent_pb2.SealedFor(name=name, site=site, box=sealed))
        return found

    def _seal(self, name: str, site: str, key: str, box: bytes) -> bytes:
        known = (name, site, key, box)
        if known not in self._sealed:
            self._sealed[known] = seal(key, self.sealing.open(box))
        return self._sealed[known]

    async def _ask(self, member: Member) -> None:
        if self.peers is None:
            return
        request = agent_pb2.FailsafeRequest(site=self.who.site, uid=self.who.uid)
        try:
            async with asyncio.timeout(ASK_S):
                answer = await self.peers.ask(member, request, timeout_s=ASK_S)
        except (FederationError, TimeoutError, OSError) as error:
            log.debug("sealing-key.unanswered", site=member.site, error=str(error))
            return
        if answer.sealing_key and (answer.site, answer.uid) == (member.site, member.uid):
            self._keys[member.site, member.uid] = answer.sealing_key
