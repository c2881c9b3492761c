"""Orders about homes: what every one of them says, and a pod that carries it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.drivers.kubernetes.copying_pods import CopyingPods
from agents.drivers.kubernetes.home_claims import owner
from agents.drivers.kubernetes.homes_order import Call, HomesAnswer, HomesOrder, OwnerText
from agents.drivers.kubernetes.hub_values import plain_values
from agents.drivers.kubernetes.settings import KubernetesSettings
from agents.drivers.local.copy_store import S3
from agents.drivers.local.settings import CopyStore, LocalSettings
from federation.core.chart_values.row import Given
from federation.core.chart_values.table import merged
from federation.model.classroom import Classroom
from federation.model.errors import DriverError
from federation.model.identity import Epoch
from federation.runtime.clock import Clock

HUB_OWNER = OwnerText(uid=1000, gid=1000)  # what the upstream chart's hub runs as
LEAST_S = 1.0


@dataclass(frozen=True, slots=True)
class HomesAsking:
    """Of one site. `here`: the agent's own host."""

    settings: KubernetesSettings
    here: LocalSettings
    clock: Clock
    pods: CopyingPods

    def values(self, hub: str, classroom: Classroom | None) -> Mapping[str, Any]:
        """What the chart is, or would be, given: it says how large volumes are, and whose files are."""
        if classroom is not None:
            return plain_values(Given(classroom, hub, self.settings.part), self.settings.values)
        storage_class = self.settings.part.storage_class
        ours = {
            "singleuser": {"storage": {"dynamic": {"storageClass": storage_class}}},
            "hub": {"db": {"pvc": {"storageClassName": storage_class}}},
        }
        return merged(ours, self.settings.values)

    def order(
        self, call: Call, hub: str, epoch: Epoch, store: CopyStore, password: str, until_mono: float
    ) -> HomesOrder:
        """To be revised by what the call needs."""
        return HomesOrder(
            call=call,
            site=self.here.site,
            hub=hub,
            epoch=epoch,
            password=password,
            limit_s=max(until_mono - self.clock.mono(), LEAST_S),
            store=store.place if store.place.startswith(S3) else str(Path(store.place).absolute()),
            has_keys=store.credentials is not None,
            has_trusted=store.cacert is not None,
            homes_owner=owner_text(self.values(hub, None)),
            database_owner=HUB_OWNER,
        )

    async def ask(
        self, order: HomesOrder, store: CopyStore, claims: Mapping[str, str], *, database: bool, node: str
    ) -> HomesAnswer:
        """What the pod answered; its errors are raised, and name places of this host where they are of this host."""
        try:
            return await self.pods.run(order, store, claims, database=database, node=node)
        except DriverError as error:
            theirs, ours = str(order.settings().copies_dir), str(self.here.copies_dir)
            if theirs not in error.help:
                raise
            raise DriverError(error.message, delay_s=error.delay_s, help=error.help.replace(theirs, ours)) from error


def owner_text(values: Mapping[str, Any]) -> OwnerText:
    """Whose students' files are, by these values."""
    uid, gid = owner(values)
    return OwnerText(uid=uid, gid=gid)


def wordless(hub: str) -> DriverError:
    """What to say of an answer to another question."""
    return DriverError(
        f"{hub}: the pod that works on its homes answered something else: is its image of another version?"
    )
