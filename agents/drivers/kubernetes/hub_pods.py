"""What runs of each hub: as the watch of pods has told, for reports; as the API server says, for what must be so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.absences import Absences
from agents.drivers.kubernetes.api import Api, Object
from agents.drivers.kubernetes.census import Census
from agents.drivers.kubernetes.mirror import Mirror
from agents.drivers.kubernetes.watch import Watch

OURS = "app=jupyterhub"


@dataclass(slots=True)
class HubPods:
    """One for all hubs of a site. `absences` is told of each start (`starting`) and of each stop that ended well."""

    api: Api
    watch: Watch
    absences: Absences = field(default_factory=Absences)

    async def now(self, hub: str) -> Census:
        """What the API server says."""
        listed = await self.api.listed(paths.pods(hub))
        return Census.of(listed.items, listed.revision)

    async def seen(self, hub: str) -> Census:
        """What was heard last. That nothing runs is never hearsay: then nothing is about to come, either (`coming`)."""
        heard, absent = self.watch.heard(), self.absences.as_of(hub)
        if heard is not None:
            census = Census.of(heard.of(hub), heard.revision)
            if census.pods and not self._late(hub, heard):
                self.absences.found_something(hub)
                return census
            if not census.pods and absent is not None:
                return census
        return await self._ask(hub)

    async def running(self, hubs: set[str]) -> set[str]:
        """Those of them of which anything runs."""
        heard = self.watch.heard()
        if heard is None:
            found = Census.of(await self.api.items(paths.ALL_PODS, labels=OURS)).pods
            return hubs & {pod["metadata"]["namespace"] for pod in found}
        return {hub for hub in hubs if Census.of(heard.of(hub)).pods and not self._late(hub, heard)}

    async def workloads(self, hub: str) -> Mapping[str, Object]:
        """Whatever keeps pods there, by where it is."""
        kinds = (paths.deployments(hub), paths.stateful_sets(hub))
        found = [(kind, one) for kind in kinds for one in await self.api.items(kind)]
        return {f"{kind}/{one['metadata']['name']}": one for kind, one in found}

    async def _ask(self, hub: str) -> Census:
        mark, census = self.absences.mark(hub), await self.now(hub)
        if not census.pods:
            workloads = (await self.workloads(hub)).values()
            census = replace(census, coming=sum(one["spec"].get("replicas", 1) for one in workloads))
        if census.count:
            self.absences.found_something(hub)
        else:
            self.absences.found_nothing(hub, census.revision, mark)
        return census

    def _late(self, hub: str, heard: Mirror) -> bool:
        """Whether the watch has yet to tell of the end of what it shows."""
        absent = self.absences.as_of(hub)
        return absent is not None and heard.revision < absent
