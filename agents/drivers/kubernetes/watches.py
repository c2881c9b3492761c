"""What is watched of a site's cluster, by all of its drivers together: three watches, whatever runs there."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.marks import ALIVE, SITE
from agents.drivers.kubernetes.watch import Kind, Watch
from federation.runtime.clock import Clock
from federation.runtime.supervisor import Supervisor


@dataclass(frozen=True, slots=True)
class Watches:
    """`pods`: every pod of the cluster, for those that are no hub's take room as well. `namespaces`: of this site's hubs.
    Each begins when it is looked at first."""

    pods: Watch
    nodes: Watch
    namespaces: Watch
    tasks: Supervisor

    @classmethod
    def of(cls, api: Api, clock: Clock, random: Random) -> Watches:
        """Nothing is asked yet."""
        tasks = Supervisor(f"cluster-{api.site}")

        def watch(kind: Kind) -> Watch:
            return Watch(kind, api, clock, random, tasks.start)

        return cls(
            pods=watch(Kind("pods", paths.ALL_PODS, fields=ALIVE)),
            nodes=watch(Kind("nodes", paths.NODES)),
            namespaces=watch(Kind("namespaces", paths.NAMESPACES, labels=f"{SITE}={api.site}")),
            tasks=tasks,
        )

    async def close(self) -> None:
        """End them. Afterwards nobody looks."""
        await self.tasks.close()
