"""The claims of one site's hubs: what is there, from where it can be reached, what is made and what goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agents.drivers.base import HubDriver
from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api, Object
from agents.drivers.kubernetes.census import Census
from agents.drivers.kubernetes.home_claims import (
    STUDENTS,
    ClaimSize,
    HomeClaims,
    Reach,
    check_not_shared,
    database_claim,
    home_claim,
    in_use,
    reach,
)
from agents.drivers.kubernetes.homes_mark import MarkText
from agents.drivers.kubernetes.namespaces import Namespaces
from federation.core.claim_names import generation_of
from federation.model.errors import DriverError


@dataclass(frozen=True, slots=True)
class HubHomes:
    """Of one site."""

    api: Api
    namespaces: Namespaces
    hubs: HubDriver

    async def mark(self, hub: str) -> MarkText:
        """What the namespace says of the homes."""
        place = await self.namespaces.look(hub)
        return MarkText.of(hub, place.homes) if place is not None else MarkText()

    async def none_runs(self, hub: str) -> None:
        """Students' servers work in the homes, the hub in its database: neither may be replaced under them. Both are asked:
        whoever runs hubs knows what is about to come, and the cluster what is there at this moment."""
        coming = (await self.hubs.observe(hub)).processes
        pods = coming or len(Census.of(await self.api.items(paths.pods(hub))).pods)
        if pods:
            raise DriverError(f"{pods} pods of {hub} run here: its homes cannot be replaced or compared under them")

    async def every(self, hub: str) -> list[Object]:
        """All claims of the namespace."""
        return await self.api.items(paths.claims(hub))

    async def of(self, hub: str, generation: int) -> tuple[HomeClaims, Reach]:
        """The homes of one generation, and from where one pod can have all of them; DriverError if from nowhere."""
        found = await self.every(hub)
        check_not_shared(hub, found)
        homes = HomeClaims.of(found, generation)
        return homes, reach(hub, homes.claims.values(), found, await self.used(hub))

    async def used(self, hub: str) -> Mapping[str, str]:
        """Claim -> the node that has it."""
        return in_use(await self.api.items(paths.pods(hub)))

    async def made(
        self, hub: str, owners: Mapping[str, str], generation: int, size: ClaimSize, here: Mapping[str, str]
    ) -> dict[str, str]:
        """Home -> claim, of these students; those that are not `here` are made."""
        claims: dict[str, str] = {}
        for home, user in sorted(owners.items()):
            body = home_claim(hub, home, user, generation, size)
            claims[home] = here.get(home) or body["metadata"]["name"]
            if home not in here:
                await self.api.create(paths.claims(hub), body)
        return claims

    async def made_for_database(self, hub: str, size: ClaimSize) -> None:
        """If it is not there yet."""
        await self.api.create(paths.claims(hub), database_claim(hub, size))

    async def delete(self, hub: str, generation: int) -> None:
        """The homes of a generation that never was one."""
        for claim in await self.api.items(paths.claims(hub), labels=STUDENTS):
            if generation_of(claim["metadata"]["name"]) == generation:
                await self.api.delete(f"{paths.claims(hub)}/{claim['metadata']['name']}")
