"""Homes in a cluster: claims of the hub's namespace, one for each student, which the hub makes when they first come.

The mark, which epoch they are of, is on the namespace. Copies of them are not made or restored yet.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from agents.drivers.base import HomesMark
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.namespaces import STUCK, Namespaces
from federation.model.errors import DriverError, StaleEpoch
from federation.model.identity import Epoch
from federation.model.schema import Document
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

STUDENTS = "component=singleuser-storage"
GONE_S = 60.0
LOOK_S = 0.5


class MarkText(Document):
    """As it is written on the namespace."""

    epoch: Epoch


@dataclass(frozen=True, slots=True)
class KubernetesHomes:
    """The HomesDriver."""

    api: Api
    namespaces: Namespaces
    clock: Clock

    async def ensure(self, hub: str, epoch: Epoch, *, lasting: bool = True) -> str:
        place = await self.namespaces.to_write_on(hub)
        before = _mark(place.homes)
        if before is not None and epoch < before.epoch:
            raise StaleEpoch(f"the homes of {hub} are of epoch {before.epoch} here; the order is of {epoch}")
        if before is None or before.epoch != epoch:
            if before is not None and not lasting:
                await self._delete_claims(hub)
            await self.namespaces.write(place, homes=MarkText(epoch=epoch).model_dump_json())
        return f"namespace {hub}"

    async def where(self, hub: str) -> str | None:
        place = await self.namespaces.look(hub)
        return f"namespace {hub}" if place is not None and place.homes and not place.ending else None

    async def mark(self, hub: str) -> HomesMark | None:
        place = await self.namespaces.look(hub)
        text = _mark(place.homes) if place is not None else None
        return HomesMark(text.epoch) if text is not None else None

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


def _mark(text: str) -> MarkText | None:
    return MarkText.model_validate_json(text) if text else None
