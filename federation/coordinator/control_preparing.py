"""The leader's part in preparing a site: it passes the order to the site's agent, and what becomes of it to whoever asked.

The plan is the agent's, for only agents talk to a cluster. It goes on when nobody listens: an order that is given again
finds it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from federation.api.v1 import agent_pb2, control_pb2
from federation.coordinator.control_moves import actor
from federation.coordinator.events import Journalist
from federation.coordinator.sessions import Sessions
from federation.coordinator.snapshot import Snapshot
from federation.model.errors import InvalidRequest, NotFound, Refused
from federation.store.register import Changes, Register

SILENCE_S = 120.0  # a plan looks at all releases, and a cluster may be slow


@dataclass(frozen=True, slots=True)
class PrepareDesk:
    """`answers` is for admins. Only the leader has agents."""

    register: Register
    snapshot: Snapshot
    sessions: Sessions
    journalist: Journalist
    require_leader: Callable[[], object]

    async def answers(
        self, request: control_pb2.PrepareSiteRequest, who: str
    ) -> AsyncGenerator[control_pb2.PrepareSiteResponse]:
        """The agent's plan or steps. NotFound, NotLeader, Unavailable; Refused with what the agent says against it."""
        self.require_leader()
        site = request.site
        if self.snapshot.site(site) is None:
            raise NotFound(f"no site named {site} has joined", help="`fedctl sites` lists them.")
        if request.apply and not request.fingerprint:
            raise InvalidRequest("which plan? An order names the fingerprint of the plan that it is for")
        ask = agent_pb2.Ask(
            prepare=agent_pb2.PrepareAsk(apply=request.apply, fingerprint=request.fingerprint)
        )  # fmt: skip
        failed, begun = "", False
        async with aclosing(self.sessions.follow(site, ask, silence_s=SILENCE_S)) as answers:
            async for answer in answers:
                if answer.error:
                    raise Refused(f"{site}: {answer.error}", help="Correct that, and ask for a plan again.")
                if answer.HasField("step"):
                    if not begun:
                        await self._note(site, f"plan {request.fingerprint} ordered", who)
                    begun = True
                    failed = answer.step.chart if answer.step.state == "failed" else failed
                    yield control_pb2.PrepareSiteResponse(step=answer.step)
                elif answer.HasField("plan"):
                    yield control_pb2.PrepareSiteResponse(plan=answer.plan)
        if begun:
            await self._note(site, f"plan {request.fingerprint} {f'failed at {failed}' if failed else 'is done'}", who)

    async def _note(self, site: str, message: str, who: str) -> None:
        changes = self.journalist.add(Changes(), "site.prepare", message, site=site, actor=who)
        await self.register.commit(changes)


class PrepareCalls:
    """The call of the control API about preparing sites. `ControlService` is made of these, too."""

    __slots__ = ()
    preparing: PrepareDesk

    async def PrepareSite(
        self,
        request: control_pb2.PrepareSiteRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[control_pb2.PrepareSiteResponse]:
        async with aclosing(self.preparing.answers(request, actor())) as answers:
            async for answer in answers:
                yield answer
