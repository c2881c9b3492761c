"""Homes in a cluster: claims of the hub's namespace, one for each student, which the hub makes when they first come.

The mark on the namespace says which epoch they are of and which claims they are (`kubernetes/homes_mark.py`). While a
restore was ordered and has not ended they are taken to no other epoch (I6).
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from agents.drivers.base import CopyRef, HomesMark
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.home_claims import STUDENTS
from agents.drivers.kubernetes.homes_mark import MarkText
from agents.drivers.kubernetes.namespaces import STUCK, Namespaces
from federation.model.errors import DriverError, StaleEpoch
from federation.model.identity import Epoch
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

GONE_S = 60.0
LOOK_S = 0.5


@dataclass(frozen=True, slots=True)
class KubernetesHomes:
    """The HomesDriver."""

    api: Api
    namespaces: Namespaces
    clock: Clock

    async def ensure(self, hub: str, epoch: Epoch, *, lasting: bool = True) -> str:
        place = await self.namespaces.to_write_on(hub)
        before = MarkText.of(hub, place.homes)
        if before.epoch is not None and epoch < before.epoch:
            raise StaleEpoch(f"the homes of {hub} are of epoch {before.epoch} here; the order is of {epoch}")
        if before.due is not None and before.epoch != epoch:
            raise DriverError(f"the homes of {hub} are not as they must be: a restore was ordered and has not ended")
        if before.epoch != epoch:
            if before.epoch is not None and not lasting:
                await self._delete_claims(hub)
            await self.namespaces.write(place, homes=before.raised(epoch).text)
        return tree(hub)

    async def where(self, hub: str) -> str | None:
        place = await self.namespaces.look(hub)
        if place is None or place.ending or MarkText.of(hub, place.homes).epoch is None:
            return None
        return tree(hub)

    async def mark(self, hub: str) -> HomesMark | None:
        place = await self.namespaces.look(hub)
        text = MarkText.of(hub, place.homes) if place is not None else MarkText()
        if text.epoch is None:
            return None
        source = text.source
        return HomesMark(text.epoch, CopyRef(source.site, hub, source.snapshot) if source is not None else None)

    async def delete(self, hub: str) -> None:
        """With the whole namespace: the hub's database is a claim in it too."""
        if await self.namespaces.look(hub) is None:
            return
        await self.api.delete(paths.namespace(hub))
        deadline_mono = self.clock.mono() + GONE_S
        while (place := await self.namespaces.look(hub)) is not None:
            if self.clock.mono() > deadline_mono:
                wrong = f"{hub}: its namespace was told to go {GONE_S:.0f} s ago and is still there: {place.ending}"
                raise DriverError(wrong, delay_s=30.0, help=STUCK)
            await self.clock.sleep(LOOK_S)
        log.info("homes.namespace_deleted", hub=hub)

    async def _delete_claims(self, hub: str) -> None:
        for claim in await self.api.items(paths.claims(hub), labels=STUDENTS):
            await self.api.delete(f"{paths.claims(hub)}/{claim['metadata']['name']}")


def tree(hub: str) -> str:
    """Where the homes are, in words: what is restored takes their place there."""
    return f"namespace {hub}"
