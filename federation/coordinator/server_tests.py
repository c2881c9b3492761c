"""The leader's part in test servers: it decides whether one may be started now, and has the class's site admit it.

Only the leader talks to agents, and knows by their reports what a class does now. Tests are made at other places: those
coordinators ask here, as for logs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from federation.api.v1 import agent_pb2, control_pb2
from federation.coordinator.observations import Observations
from federation.coordinator.sessions import Sessions
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.standing import Standing
from federation.coordinator.wanted import epoch_message
from federation.coordinator.whereabouts import hub_there
from federation.core.server_tests import Situation, objection
from federation.model.errors import NotFound, Refused, Unavailable
from federation.model.ownership import Ownership
from federation.runtime.clock import Clock

ANSWER_S = 30.0  # the agent ends what an earlier test left


@dataclass(slots=True)
class ServerTestDesk:
    """`answer` is for coordinators. `on` False: the federation's file wants no tests, whoever asks."""

    snapshot: Snapshot
    observations: Observations
    sessions: Sessions
    standing: Standing
    clock: Clock
    on: bool

    async def answer(self, request: control_pb2.ServerTestRequest) -> control_pb2.ServerTestResponse:
        """A ticket, or the end of a test. Refused with the reason if none may be started now."""
        leader = self.standing.other_leader()
        if leader is not None:
            return await leader.server_test(request)
        stored, generation = self.snapshot.ownership(request.hub), self.snapshot.in_force(request.hub)
        if stored is None or stored.document.owner is None or generation is None:
            raise NotFound(f"nobody owns the hub {request.hub}")
        ownership = stored.document
        if not request.done and (why := self._objection(ownership)):
            raise Refused(f"{request.hub}: no test server now: {why}")
        limit_s = float(generation.classroom.spec.limits.start_timeout)
        ask = agent_pb2.Ask(
            server_test=agent_pb2.ServerTestAsk(
                hub=request.hub, epoch=epoch_message(ownership.epoch), done=request.done, limit_s=limit_s
            )
        )
        answer = await self.sessions.ask(ownership.owner or "", ask, limit_s=ANSWER_S)
        if answer.error:
            raise Unavailable(f"{ownership.owner}: {answer.error}")
        return control_pb2.ServerTestResponse(user=answer.ticket.user, token=answer.ticket.token, limit_s=limit_s)

    def _objection(self, ownership: Ownership) -> str:
        site, generation = ownership.owner or "", self.snapshot.in_force(ownership.hub)
        there, record = hub_there(self.snapshot, self.clock.now(), ownership), self.snapshot.site(site)
        if not self.on:
            return "spec.server_test_every is not set"
        if there is None or generation is None or record is None:
            return "the register's copy here has not all of it yet"
        seen = self.observations.seen(site, ownership.hub, ownership.epoch)
        serves = seen is not None and seen.epoch_matches and seen.phase == "serving" and seen.gate_open
        cordon = record.document.cordon
        return objection(
            Situation(
                serves=serves,
                busy=there.busy,
                draining=seen is not None and seen.draining,
                cordon=cordon.reason if cordon is not None else "",
                meets_within_s=there.meets_within_s,
                servers=seen.servers if seen is not None else 0,
                seats=generation.classroom.spec.roster.expected,
            )
        )


class ServerTestCalls:
    """The call of the control API about test servers. `ControlService` is made of these, too."""

    __slots__ = ()
    server_tests: ServerTestDesk

    async def ServerTest(  # noqa: N802 - the name on the wire
        self,
        request: control_pb2.ServerTestRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.ServerTestResponse:
        return await self.server_tests.answer(request)
