"""The namespaces of a site's hubs: looked at, written, found. One apply for each change, and none where nothing changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.hub_record import SECRET, HubNamespace, HubRecord, HubSecrets, namespace_body
from agents.drivers.kubernetes.marks import CLASSROOM
from agents.drivers.kubernetes.watch import Watch
from federation.model.errors import DriverError


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Shared by the drivers of hubs and homes: both write on it, in turns of the one loop that a hub has."""

    site: str
    api: Api
    watch: Watch

    async def seen(self, hub: str) -> HubNamespace | None:
        """As it was heard of last, with all that was written here; for reports, not for what must be true at this moment.
        None if there is none. DriverError if it is somebody else's."""
        return self.heard(hub) or await self.look(hub)

    def heard(self, hub: str) -> HubNamespace | None:
        """The same; None also if nothing was heard of it."""
        mirror = self.watch.heard()
        found = mirror.named(hub) if mirror is not None else None
        return HubNamespace.of(self.site, hub, found) if found is not None else None

    async def look(self, hub: str) -> HubNamespace | None:
        """None if there is none. DriverError if it is somebody else's."""
        found = await self.api.get(paths.namespace(hub))
        return HubNamespace.of(self.site, hub, found) if found is not None else None

    async def to_write_on(self, hub: str) -> HubNamespace:
        """As it is now, perhaps not there yet. DriverError while it is going away."""
        found = await self.look(hub)
        if found is not None and found.ending:
            raise DriverError(f"{hub}: its namespace is being deleted, and has not gone: {found.ending}", help=STUCK)
        return found or HubNamespace(hub, None)

    async def write(
        self, now: HubNamespace, *, record: HubRecord | None = None, homes: str | None = None
    ) -> HubNamespace:
        """Make it if it is new, and change what is given."""
        wanted = replace(
            now, record=now.record if record is None else record, homes=now.homes if homes is None else homes
        )
        if wanted == now and (now.record is not None or now.homes):
            return now
        body = namespace_body(self.site, now.name, wanted.record, wanted.homes)
        found = await self.api.apply(paths.namespace(now.name), body)
        self.watch.mirror.put(found)
        return HubNamespace.of(self.site, now.name, found)

    async def note(self, hub: str, name: str, text: str | None) -> None:
        """Write a note on it that is no part of what `write` writes and is kept by that, or (None) take it off. DriverError
        if there is no such namespace to write on."""
        found = await self.api.merge(paths.namespace(hub), {"metadata": {"annotations": {name: text}}})
        if found is not None:
            self.watch.mirror.put(found)
        elif text is not None:
            raise DriverError(f"{hub}: no such hub at this site", delay_s=None)

    async def noted(self, name: str) -> tuple[str, ...]:
        """All hubs on whose namespace such a note is."""
        found = [one["metadata"] for one in await self.watch.objects()]
        return tuple(sorted(meta["name"] for meta in found if name in (meta.get("annotations") or {})))

    async def secrets(self, hub: str) -> HubSecrets:
        """Those of the hub; drawn the first time."""
        path = paths.secret(hub, SECRET)
        found = await self.api.get(path)
        if found is None:
            await self.api.create(path.rpartition("/")[0], HubSecrets.draw().body())
            found = await self.api.get(path)  # whoever made it: all go by what is there
        if found is None:
            raise DriverError(f"{hub}: the Secret {SECRET} went away as soon as it was made")
        return HubSecrets.of(hub, found)

    async def hubs(self) -> tuple[str, ...]:
        """All hubs that have a namespace of this site; a canary has one too, and is none."""
        found = [one["metadata"] for one in await self.watch.objects()]
        return tuple(sorted(meta["name"] for meta in found if CLASSROOM in (meta.get("labels") or {})))


STUCK = "kubectl get namespace NAME -o yaml says what holds it: often objects whose controller is gone."
