"""The calls of the control API about the register itself. `ControlService` is made of these, too."""

from __future__ import annotations

from typing import Any

from federation.api.v1 import control_pb2
from federation.coordinator.control_moves import actor
from federation.coordinator.recovering import Recovering


class RecoveryCalls:
    """Answered by any replica, also by one that does not believe its register."""

    __slots__ = ()
    recovering: Recovering

    async def RegisterStatus(
        self,
        request: control_pb2.RegisterStatusRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> control_pb2.RegisterState:
        return await self.recovering.state()

    async def RecoverRegister(
        self,
        request: control_pb2.RecoverRegisterRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.RegisterState:
        return await self.recovering.recover(request, actor())
