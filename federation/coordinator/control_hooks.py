"""The calls of the control API about hooks. `ControlService` is made of these, too."""

from __future__ import annotations

from typing import Any

from federation.api.v1 import control_pb2
from federation.coordinator.control_moves import actor
from federation.coordinator.hook_desk import HookDesk
from federation.coordinator.standing import Standing


class HookCalls:
    """Who is told what happens by itself, and whether they can be."""

    __slots__ = ()
    hook_desk: HookDesk
    standing: Standing

    async def ListHooks(
        self,
        request: control_pb2.ListHooksRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> control_pb2.ListHooksResponse:
        return control_pb2.ListHooksResponse(items=self.hook_desk.infos(), freshness=self.standing.freshness())

    async def TestHooks(
        self,
        request: control_pb2.TestHooksRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.TestHooksResponse:
        return await self.hook_desk.tried(request.name, actor())
