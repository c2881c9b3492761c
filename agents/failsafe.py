"""Keeps armed hubs while no coordinator answers: every r, all peers are asked whether they keep their hands off (DESIGN.md
4.3). What may be asked, and what the answers allow, is decided in `core.failsafe`.

It runs from the start of the agent, before hello: a site that is restarted in an outage keeps or re-opens its classes too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Protocol

import structlog

from agents.journal import Journal
from agents.lease import SiteLease
from agents.link import Self, read_epoch, wire_epoch
from federation.api.v1 import agent_pb2
from federation.core.failsafe import Peer, Round, Said, candidates, due, must_ask, off, outcome, peers_of
from federation.model.errors import FederationError
from federation.model.identity import Epoch, Member
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

NS = 1_000_000_000
LONGEST = 0.25  # of D: rounds begin at D/3, so that two of them fit even if a peer is slow
SLOW = 4.0  # a peer may take so many times as long as it took before
LEAST_S = 0.5


class Peers(Protocol):
    """Reaches other agents. Failures are `FederationError`s."""

    async def ask(
        self, member: Member, request: agent_pb2.FailsafeRequest, *, timeout_s: float
    ) -> agent_pb2.FailsafeResponse:
        """Put the question to the agent of this very member, nobody else."""
        ...


class Patience:
    """How long each peer may take for an answer: as measured, and at first as long as a round may last."""

    def __init__(self, most_s: float) -> None:
        self._most_s = most_s
        self._took_s: dict[Peer, float] = {}

    def timeout_s(self, peer: Peer) -> float:
        """For the next question."""
        took_s = self._took_s.get(peer)
        return self._most_s if took_s is None else min(self._most_s, max(LEAST_S, SLOW * took_s))

    def answered(self, peer: Peer, took_s: float) -> None:
        """Rises at once, falls slowly."""
        self._took_s[peer] = max(took_s, 0.9 * self._took_s.get(peer, 0.0))

    def silent(self, peer: Peer) -> None:
        """It may have become slower than it ever was."""
        self._took_s.pop(peer, None)


class Failsafe:
    """`run` is eternal."""

    def __init__(
        self,
        who: Self,
        lease: SiteLease,
        journal: Journal,
        peers: Peers | None,
        *,
        clock: Clock,
        random: Random,
        on_change: Callable[[], None],
    ) -> None:
        self._who = who
        self._me = (who.site, who.uid)
        self._lease = lease
        self._journal = journal
        self._peers = peers
        self._clock = clock
        self._random = random
        self._on_change = on_change
        self._contact_ns = int(who.profile.contact_s * NS)
        self._patience = Patience(who.profile.contact_s * LONGEST)
        self._started_mono = clock.mono()
        self._closed_asked_ns = clock.boottime_ns()
        self._heard: dict[str, Epoch] = {}  # higher epochs that peers have named
        self._trouble = ""
        self.active = False

    async def run(self) -> None:
        """A round every r while it is needed."""
        renew_s = self._who.profile.renew_s
        while True:
            began = self._clock.mono()
            asked = await self._round() if self._begins() else False
            pause_s = renew_s if asked else renew_s / 2
            await self._clock.sleep(max(renew_s / 10, pause_s - (self._clock.mono() - began)))

    def _candidates(self) -> dict[str, Epoch]:
        return candidates(self._lease.known(), self._lease.held, self._lease.promises.running(), self._heard)

    def _begins(self) -> bool:
        """Whether a round is to be asked now."""
        now, granted = self._clock.mono(), self._lease.granted_mono
        next_s = self._lease.next_lapse_s()
        silent = must_ask(
            contact_ns=self._contact_ns,
            silent_ns=int((now - (self._started_mono if granted is None else granted)) * NS),
            granted_once=granted is not None,
            soonest_ns=None if next_s is None else int(next_s * NS),
        )
        wanted = silent and bool(self._candidates())
        why_off = "this agent has no way to ask" if self._peers is None else self._off() if wanted else ""
        if wanted and why_off:
            self._note(f"the failsafe is off: {why_off}")
        self._set_active(wanted and not why_off)
        return self.active

    def _off(self) -> str:
        own = "" if self._who.peer_address else "this site has no spec.agent.peer_address"
        return own or off(self._journal.record.members, self._me)

    async def _round(self) -> bool:
        """Ask all, and take what they allow; False if there was nothing to ask for."""
        now_ns, held = self._clock.boottime_ns(), self._lease.held
        hubs = due(
            self._candidates(),
            held,
            now_ns=now_ns,
            closed_asked_ns=self._closed_asked_ns,
            contact_ns=self._contact_ns,
        )
        if not hubs:
            return False
        if any(hub not in held or held[hub].lapsed(now_ns) for hub in hubs):
            self._closed_asked_ns = now_ns
        members = self._journal.record.members
        asked = Round(self._random.getrandbits(64), now_ns, hubs, peers_of(members, self._me))
        request = agent_pb2.FailsafeRequest(
            site=self._who.site,
            uid=self._who.uid,
            nonce=asked.nonce,
            hubs=[agent_pb2.Claim(hub=hub, epoch=wire_epoch(epoch)) for hub, epoch in sorted(hubs.items())],
        )
        questions = [self._ask(member, request) for member in members if (member.site, member.uid) in asked.peers]
        answers = [said for said in await asyncio.gather(*questions) if said is not None]
        self._take(asked, answers)
        return True

    async def _ask(self, member: Member, request: agent_pb2.FailsafeRequest) -> Said | None:
        """One peer's answer. Nothing that a call can end in may end the round, or the agent."""
        peer, began = (member.site, member.uid), self._clock.mono()
        timeout_s = self._patience.timeout_s(peer)
        try:
            async with asyncio.timeout(timeout_s):
                assert self._peers is not None  # noqa: S101 - for the type checker: else no round begins
                answer = await self._peers.ask(member, request, timeout_s=timeout_s)
                said = read_said(answer)
        except (FederationError, TimeoutError, OSError) as error:
            log.debug("failsafe.unanswered", site=member.site, error=str(error))
        except Exception as error:  # noqa: BLE001 - the class stays open only if no kind of failure is forgotten here
            log.warning("failsafe.unanswered", site=member.site, error=repr(error))
        else:
            self._patience.answered(peer, self._clock.mono() - began)
            return said if said.peer == peer else None
        self._patience.silent(peer)
        return None

    def _take(self, asked: Round, answers: list[Said]) -> None:
        result = outcome(asked, answers)
        for hub, epoch in result.higher.items():
            if self._heard.get(hub) != epoch:
                log.warning("failsafe.superseded", hub=hub, epoch=str(epoch))
            self._heard[hub] = epoch
        reasons = {reason for answer in answers for reason in answer.reasons.values()}
        silent = {f"{site} does not answer" for site, _uid in result.missing}
        self._note("; ".join(sorted(reasons | silent)))
        still = self._candidates()  # an answer to a renewal, or a promise of ours, may have come meanwhile
        agreed = {hub: epoch for hub, epoch in result.agreed.items() if still.get(hub) == epoch}
        try:
            opens = self._lease.extend(agreed, asked.sent_ns)
        except FederationError as error:
            self._note(error.message)
            return
        if opens:
            self._on_change()

    def _note(self, trouble: str) -> None:
        """One line when it changes; not one for each round."""
        if trouble != self._trouble:
            if trouble:
                log.warning("failsafe.refused", why=trouble)
            else:
                log.info("failsafe.works")
        self._trouble = trouble

    def _set_active(self, active: bool) -> None:
        if active == self.active:
            return
        self.active = active
        change = "begun" if active else "ended"
        log.warning("history.failsafe", hub="", epoch="", change=change, at_ns=self._clock.boottime_ns())
        if not active:
            self._trouble = ""


def read_said(message: agent_pb2.FailsafeResponse) -> Said:
    """From the wire."""
    return Said(
        peer=(message.site, message.uid),
        nonce=message.nonce,
        promised=frozenset(answer.hub for answer in message.hubs if answer.promised),
        higher={answer.hub: read_epoch(answer.highest) for answer in message.hubs if answer.HasField("highest")},
        reasons={answer.hub: answer.reason for answer in message.hubs if not answer.promised},
    )
