"""Copies of homes of a site with a cluster: what reads copies runs here, what works on homes in short pods (DESIGN.md 4.5).

A pod sees the claims of a hub as a local site sees its tree, and does with our own code what such a site does: repository,
tags, index, verification are the same (`kubernetes/homes_work.py`). One pod makes one copy, so homes that no two nodes can
have at a time have to be on one. A restore fills new claims; one write on the namespace makes them the homes.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from agents.drivers.base import (
    CopiesCapabilities,
    Copy,
    CopyRef,
    HubDriver,
    Placed,
    Restored,
    Saved,
    UnsentWork,
)
from agents.drivers.homes_kubernetes import tree
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.copying_pods import CopyingPods
from agents.drivers.kubernetes.home_claims import ClaimSize, HomeClaims, has_claim, sizes
from agents.drivers.kubernetes.homes_asking import HomesAsking, owner_text, wordless
from agents.drivers.kubernetes.homes_mark import MarkText
from agents.drivers.kubernetes.homes_order import Call, CopyText
from agents.drivers.kubernetes.hub_homes import HubHomes
from agents.drivers.kubernetes.namespaces import Namespaces
from agents.drivers.kubernetes.settings import KubernetesSettings
from agents.drivers.local.blocking import blocking
from agents.drivers.local.copied_tree import STAGED
from agents.drivers.local.copies_in_store import CopiesInStore
from agents.drivers.local.copy_listing import Described
from agents.drivers.local.copy_repository import ensure_repository
from agents.drivers.local.putting_aside import check_name, no_home, owners_of
from agents.drivers.local.restoring import users_in
from agents.drivers.local.settings import CopyStore, LocalSettings
from federation.core.home_names import slug
from federation.core.unsent import the_tree_of
from federation.model.classroom import Classroom
from federation.model.classroom_seat import StorageType
from federation.model.errors import DriverError, FederationError, NotFound, StaleEpoch
from federation.model.identity import Epoch
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk
from federation.runtime.processes import Processes
from federation.runtime.restic_program import Restic

log = structlog.get_logger(__name__)

NO_EPOCH = Epoch(era=0, n=0)
NO_IMAGE = "no image is named for the pods that copy homes (spec.cluster.image)"


@dataclass(slots=True)
class KubernetesCopies:
    """The CopiesDriver. `here`: the agent's own host, which reads the store too."""

    settings: KubernetesSettings
    here: LocalSettings
    processes: Processes
    clock: Clock
    disk: Disk
    api: Api
    namespaces: Namespaces
    hubs: HubDriver
    find: Callable[[], Awaitable[Restic]]
    _store: CopiesInStore = field(init=False)
    _homes: HubHomes = field(init=False)
    _pods: CopyingPods = field(init=False)
    _asking: HomesAsking = field(init=False)
    _busy: defaultdict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def __post_init__(self) -> None:
        self._store = CopiesInStore(self.here, self.processes, self.clock, self.find)
        self._homes = HubHomes(self.api, self.namespaces, self.hubs)
        self._pods = CopyingPods(self.api, self.clock, self.settings.image)
        self._asking = HomesAsking(self.settings, self.here, self.clock, self._pods)

    async def capabilities(self) -> CopiesCapabilities:
        can = await self._store.capabilities()
        return can if can.refusal or self.settings.image else replace(can, refusal=NO_IMAGE)

    async def list(self, site: str, hub: str, password: str, *, limit_s: float = 60.0) -> tuple[Copy, ...]:
        return await self._store.of(site, hub, password, self.clock.mono() + limit_s)

    async def look(self, copy: CopyRef, password: str, *, limit_s: float = 60.0) -> str:
        """Whether there is room is known when the claims are made, and not before."""
        if not self.settings.image:
            return NO_IMAGE
        try:
            await self._store.now(copy, password, self.clock.mono() + limit_s)
        except FederationError as error:
            return error.message
        return ""

    async def save(self, hub: str, epoch: Epoch, password: str, *, run: str, limit_s: float = 1800.0) -> Saved:
        async with self._busy[hub]:
            until_mono = self.clock.mono() + limit_s
            mark = await self._homes.mark(hub)
            if mark.epoch is None:
                raise DriverError(f"{hub} has no homes at {self.here.site} to copy")
            if epoch < mark.epoch:
                raise StaleEpoch(f"the homes of {hub} are of epoch {mark.epoch} here; the copy would be of {epoch}")
            if epoch != mark.epoch:
                raise DriverError(f"the homes of {hub} are of epoch {mark.epoch} here, and not yet of {epoch}")
            store = await self._can_write(hub, password, until_mono)
            homes, at = await self._homes.of(hub, mark.generation)
            order = self._asking.order(Call.SAVE, hub, epoch, store, password, until_mono)
            order = order.revise(homes=dict.fromkeys(homes.claims, ""), run=run)
            answer = await self._asking.ask(order, store, homes.claims, database=at.database, node=at.node)
            if answer.saved is None:
                raise wordless(hub)
            saved = replace(answer.saved, unread=(*answer.saved.unread, *at.unread, *homes.others))
            log.info("copies.saved", hub=hub, epoch=str(epoch), snapshot=saved.snapshot[:8], unread=len(saved.unread))
            return saved

    async def restore(
        self, copy: CopyRef, epoch: Epoch, password: str, *, classroom: Classroom | None = None, limit_s: float = 3600.0
    ) -> Restored:
        hub = copy.hub
        async with self._busy[hub]:
            begin_mono = self.clock.mono()
            mark = await self._homes.mark(hub)
            if mark.epoch is not None and epoch < mark.epoch:
                raise StaleEpoch(f"the homes of {hub} are of epoch {mark.epoch} here; the order is of {epoch}")
            _check_not_shared(hub, classroom)
            done = not mark.is_of(copy, epoch)
            if done:
                await self._homes.none_runs(hub)
                await self._fill(copy, epoch, password, classroom, begin_mono + limit_s)
                await self._homes.none_runs(hub)
                mark = await self._swap(hub, copy, epoch)
                log.info("copies.restored", hub=hub, epoch=str(epoch), snapshot=copy.snapshot[:8], kept=len(mark.kept))
            return Restored(tree(hub), done, mark.kept_claims, self.clock.mono() - begin_mono)

    async def abandon(self, hub: str) -> None:
        async with self._busy[hub]:
            place = await self.namespaces.look(hub)
            mark = MarkText.of(hub, place.homes) if place is not None else MarkText()
            if place is None or mark.due is None:
                return
            await self._pods.clear_away(hub)  # nobody writes into them any more
            await self._homes.delete(hub, mark.due.generation)
            await self.namespaces.write(place, homes=mark.abandoned().text)

    async def restore_aside(
        self, copy: CopyRef, user: str, folder: str, password: str, *, limit_s: float = 1800.0
    ) -> bool:
        async with self._busy[copy.hub]:
            until_mono = self.clock.mono() + limit_s
            found = await self._to_be_put(copy, folder, password, until_mono)
            if slug(user) not in found.homes:
                raise no_home(copy, user)
            return bool((await self._put(copy, {slug(user): user}, folder, password, until_mono)).done)

    async def save_unsent(
        self, hub: str, epoch: Epoch, base: CopyRef, password: str, *, run: str, limit_s: float = 3600.0
    ) -> UnsentWork:
        async with self._busy[hub]:
            until_mono = self.clock.mono() + limit_s
            mark = await self._homes.mark(hub)
            generation = the_tree_of(epoch, mark.trees)
            if generation is None:
                raise NotFound(f"{self.here.site} has no tree of {hub} of epoch {epoch}")
            if generation == mark.generation:
                await self._homes.none_runs(hub)
            store = await self._can_write(hub, password, until_mono)
            homes, at = await self._homes.of(hub, generation)
            order = self._asking.order(Call.SAVE_UNSENT, hub, epoch, store, password, until_mono)
            order = order.revise(homes=dict.fromkeys(homes.claims, ""), run=run, source=CopyText.of(base))
            answer = await self._asking.ask(order, store, homes.claims, database=False, node=at.node)
            if answer.unsent is None:
                raise wordless(hub)
            return replace(answer.unsent, unread=(*answer.unsent.unread, *homes.others))

    async def recover(
        self, copy: CopyRef, folder: str, users: tuple[str, ...], password: str, *, limit_s: float = 3600.0
    ) -> Placed:
        async with self._busy[copy.hub]:
            until_mono = self.clock.mono() + limit_s
            found = await self._to_be_put(copy, folder, password, until_mono)
            owners, unknown = owners_of(found.homes, users)
            return replace(await self._put(copy, owners, folder, password, until_mono), unknown=unknown)

    # --- parts of a restore ---

    async def _fill(
        self, copy: CopyRef, epoch: Epoch, password: str, classroom: Classroom | None, until_mono: float
    ) -> None:
        """New claims have the whole copy, the hub's own claim its database. From the first write on a restore is due."""
        hub = copy.hub
        place = await self.namespaces.to_write_on(hub)
        before, found = MarkText.of(hub, place.homes), await self._homes.every(hub)
        mark = before.ordered(copy, epoch, [claim["metadata"]["name"] for claim in found])
        await self.namespaces.write(place, homes=mark.text)
        if before.due is not None and before.due != mark.due:
            await self._pods.clear_away(hub)
            await self._homes.delete(hub, before.due.generation)
        store = await self._can()
        described = await self._store.reading.described(copy, password, until_mono)
        owners = await self._owners(copy, described, password, until_mono)
        values = self._asking.values(hub, classroom)
        size, database = sizes(values)
        if classroom is None:
            size = ClaimSize.like(found, size)
        if has_claim(values):
            await self._homes.made_for_database(hub, database)
        claims = await self._homes.made(hub, owners, mark.filled, size, {})
        order = self._asking.order(Call.RESTORE, hub, epoch, store, password, until_mono)
        order = order.revise(homes=owners, source=CopyText.of(copy), homes_owner=owner_text(values))
        await self._asking.ask(order, store, claims, database=has_claim(values), node="")

    async def _swap(self, hub: str, copy: CopyRef, epoch: Epoch) -> MarkText:
        """One write, and the new claims are the homes."""
        place = await self.namespaces.to_write_on(hub)
        mark = MarkText.of(hub, place.homes)
        if mark.due is None or mark != mark.ordered(copy, epoch, ()):
            raise DriverError(f"{hub}: somebody else has changed what its namespace says of the homes")
        await self.namespaces.write(place, homes=mark.restored().text)
        return mark.restored()

    async def _owners(self, copy: CopyRef, found: Described, password: str, until_mono: float) -> dict[str, str]:
        """Home -> its student, whom the hub's database in the copy tells where the home's name does not. A home that nobody
        knows comes along under its own name."""
        users: tuple[str, ...] = ()
        if any(slug(home) != home for home in found.homes):
            with tempfile.TemporaryDirectory(prefix="users-", dir=self.here.copies_dir) as name:
                folder = Path(name)
                await self._store.reading.extract(copy, folder, password, until_mono, only=f"/{STAGED}")
                users = tuple(await blocking(users_in, folder / STAGED))
        owners, unknown = owners_of(found.homes, users)
        return {**owners, **{home: home for home in unknown}}

    # --- parts of putting homes beside others ---

    async def _to_be_put(self, copy: CopyRef, folder: str, password: str, until_mono: float) -> Described:
        check_name(folder)
        if (await self._homes.mark(copy.hub)).epoch is None:
            raise DriverError(f"the homes of {copy.hub} are not at {self.here.site}")
        return await self._store.reading.described(copy, password, until_mono)

    async def _put(
        self, copy: CopyRef, owners: Mapping[str, str], folder: str, password: str, until_mono: float
    ) -> Placed:
        """A pod for each node that has some of the homes: one home is one by itself."""
        hub, store, mark = copy.hub, await self._can(), await self._homes.mark(copy.hub)
        found = await self._homes.every(hub)
        size = ClaimSize.like(found, sizes(self._asking.values(hub, None))[0])
        here = HomeClaims.of(found, mark.generation).claims
        claims, used = await self._homes.made(hub, owners, mark.generation, size, here), await self._homes.used(hub)
        parts: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for home, claim in claims.items():
            parts[used.get(claim, "")][home] = claim
        done: list[str] = []
        there: list[str] = []
        for node, part in parts.items():
            order = self._asking.order(Call.PUT, hub, mark.epoch or NO_EPOCH, store, password, until_mono)
            order = order.revise(homes={home: owners[home] for home in part}, source=CopyText.of(copy), folder=folder)
            answer = await self._asking.ask(order, store, part, database=False, node=node)
            if answer.placed is None:
                raise wordless(hub)
            done += answer.placed.done
            there += answer.placed.there
        return Placed(tuple(sorted(done)), tuple(sorted(there)))

    # --- parts of all ---

    async def _can(self) -> CopyStore:
        """The store, if it can be used, also by pods."""
        refusal, store = (await self.capabilities()).refusal, self.here.copies
        if refusal or store is None:
            raise DriverError(refusal, delay_s=60.0)
        return store

    async def _can_write(self, hub: str, password: str, until_mono: float) -> CopyStore:
        """With a repository in it, made from here if it is new: a pod remembers nothing."""
        store, runs = await self._can(), self._store.runs()
        await ensure_repository(runs, self.disk, runs.own(hub), password, until_mono)
        return store


def _check_not_shared(hub: str, classroom: Classroom | None) -> None:
    """Students would be in the folders of the shared volume, and what was restored beside it (I6)."""
    if classroom is not None and classroom.spec.storage.type is StorageType.SHARED_HOME:
        wrong = f"{hub}: storage.type is shared-home, and homes on one shared volume are not restored in a cluster yet"
        raise DriverError(wrong, delay_s=None)
