"""The machine of a `local` site: declared capacity, what is used of it, and what is not as it should be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psutil

from agents.drivers.base import Capacity, ClusterView
from agents.drivers.local.census import servers_here
from agents.drivers.local.hub_file import NAME, HubFile
from agents.drivers.local.isolation import Isolation
from agents.drivers.local.settings import LocalSettings
from federation.core.room import Size
from federation.model.status import Condition, ConditionType, Truth
from federation.runtime.cgroups import Cgroups
from federation.runtime.processes import Processes

GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """The ClusterDriver."""

    settings: LocalSettings
    processes: Processes
    cgroups: Cgroups
    isolation: Callable[[], Awaitable[Isolation]]

    async def observe(self) -> ClusterView:
        isolated = await self.isolation()
        conditions = (
            _condition(ConditionType.ISOLATED, isolated.on, isolated.reason, isolated.message),
            self._limits(),
            self._overcommitted(),
        )
        return ClusterView(capacity=self.settings.capacity, used=await self._used(), conditions=conditions)

    async def hold(self, nodes: int, shape: Size) -> None:
        """The one machine is here, and stays."""

    async def _used(self) -> Capacity:
        cpu = memory = 0
        for hub, servers in (await servers_here(self.settings, self.processes)).items():
            file = HubFile.read(self.settings.hub_dir(hub) / NAME)
            if file is not None:
                cpu += servers * file.server_settings.cpu_guarantee_millis
                memory += servers * file.server_settings.memory_guarantee
        return Capacity(cpu, memory)

    def _limits(self) -> Condition:
        enforced = self.cgroups.limits_memory and self.cgroups.limits_cpu
        reason = "ControlGroups" if enforced else "NoControlGroups"
        message = "memory and CPU limits are enforced" if enforced else f"not enforced: {self.cgroups.reason}"
        return _condition(ConditionType.LIMITS_ENFORCED, enforced, reason, message)

    def _overcommitted(self) -> Condition:
        declared = self.settings.capacity
        cores, memory = psutil.cpu_count() or 1, psutil.virtual_memory().total
        over = declared.cpu_millis > cores * 1000 or declared.memory_bytes > memory
        message = (
            f"declared {declared.cpu_millis / 1000:g} cores and {declared.memory_bytes / GIB:.0f} GiB;"
            f" this machine has {cores} and {memory / GIB:.0f} GiB"
        )
        return _condition(
            ConditionType.OVERCOMMITTED, over, "DeclaredMoreThanMachine" if over else "WithinMachine", message
        )


def _condition(kind: ConditionType, true: bool, reason: str, message: str) -> Condition:
    return Condition(type=kind, status=Truth.TRUE if true else Truth.FALSE, reason=reason, message=message)
