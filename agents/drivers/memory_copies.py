"""The in-memory twin of copies: a `MemoryStore` is the store that sites share; faults are set on it, not on a site.

The files of a `MemorySite` are paths `user/name` -> content; a copy holds those of one hub.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from agents.drivers.base import (
    CopiesCapabilities,
    Copy,
    CopyRef,
    Placed,
    Restored,
    Saved,
    SavedHome,
    UnsentHome,
    UnsentWork,
)
from federation.core.home_names import slug
from federation.core.unsent import the_tree_of, worth_recovering
from federation.model.classroom import Classroom
from federation.model.errors import DeadlineExceeded, DriverError, NotFound, StaleEpoch
from federation.model.identity import Epoch

if TYPE_CHECKING:
    from agents.drivers.memory import MemorySite


@dataclass(frozen=True, slots=True)
class MemoryCopy:
    """One copy."""

    ref: CopyRef
    epoch: Epoch
    run: str
    taken: datetime
    files: Mapping[str, bytes]
    unsent: bool = False


@dataclass(slots=True)
class MemoryStore:
    """What is stored. `refusal`: why nothing can be read or written now; `silent`: it never answers."""

    copies: list[MemoryCopy] = field(default_factory=list)
    passwords: dict[tuple[str, str], str] = field(default_factory=dict)  # (site, hub) of each repository
    refusal: str = ""
    silent: bool = False
    damaged: set[tuple[str, str]] = field(default_factory=set)
    full: set[str] = field(default_factory=set)  # sites without room for a restore
    save_s: float = 0.0
    restore_s: float = 0.0

    def of(self, site: str, hub: str) -> list[MemoryCopy]:
        """The copies in one repository, oldest first."""
        return [copy for copy in self.copies if (copy.ref.site, copy.ref.hub) == (site, hub)]


class MemoryCopies:
    """The CopiesDriver."""

    def __init__(self, site: MemorySite) -> None:
        self._site = site

    async def capabilities(self) -> CopiesCapabilities:
        return CopiesCapabilities("memory", "memory://copies", self._site.store.refusal)

    async def save(self, hub: str, epoch: Epoch, password: str, *, run: str, limit_s: float = 1800.0) -> Saved:
        site, store = self._site, self._site.store
        marked = site.homes.get(hub)
        if marked is None or epoch > marked:
            raise DriverError(f"{hub} has no homes of epoch {epoch} at {site.site} to copy")
        if epoch < marked:
            raise StaleEpoch(f"the homes of {hub} belong to epoch {marked} here; the copy would be of {epoch}")
        await self._answers(limit_s, store.save_s)
        store.passwords.setdefault((site.site, hub), password)
        self._open(site.site, hub, password)
        before = store.of(site.site, hub)
        files = dict(site.files.get(hub, {}))
        old = before[-1].files if before else {}
        name = self._add(hub, epoch, run, files)
        site.record("copy.saved", hub)
        added = sum(len(content) for path, content in files.items() if old.get(path) != content)
        homes = {
            home: SavedHome(sum(map(len, inside.values())), inside != _home(old, home))
            for home in _homes(files)
            if (inside := _home(files, home)) is not None
        }
        total = sum(map(len, files.values()))
        return Saved(name, homes, len(files), total, added, store.save_s, database=hub in site.hubs)

    async def list(self, site: str, hub: str, password: str, *, limit_s: float = 60.0) -> tuple[Copy, ...]:
        await self._answers(limit_s, 0.0)
        store = self._site.store
        if (site, hub) not in store.passwords:
            return ()
        self._open(site, hub, password)
        return tuple(
            Copy(
                copy.ref.snapshot,
                copy.taken,
                copy.epoch,
                copy.run,
                len(copy.files),
                sum(map(len, copy.files.values())),
                copy.unsent,
            )
            for copy in store.of(site, hub)
        )

    async def look(self, copy: CopyRef, password: str, *, limit_s: float = 60.0) -> str:
        try:
            await self._answers(limit_s, 0.0)
            self._find(copy, password)
        except (DriverError, DeadlineExceeded) as error:
            return error.message
        return f"{copy.hub} needs more than is free" if self._site.site in self._site.store.full else ""

    async def restore(
        self,
        copy: CopyRef,
        epoch: Epoch,
        password: str,
        *,
        classroom: Classroom | None = None,  # noqa: ARG002 - homes here have no size
        limit_s: float = 3600.0,
    ) -> Restored:
        site, hub = self._site, copy.hub
        marked = site.homes.get(hub)
        if marked is not None and epoch < marked:
            raise StaleEpoch(f"the homes of {hub} belong to epoch {marked} here; the order is of {epoch}")
        done = marked != epoch or site.restored.get(hub) != copy
        if done:
            if hub in site.hubs:
                raise DriverError(f"{hub} runs here: its homes cannot be replaced under it")
            site.restoring.add(hub)
            if refusal := await self.look(copy, password, limit_s=limit_s):
                raise DriverError(refusal)
            await self._answers(limit_s, site.store.restore_s)
            if marked is not None:
                site.kept.setdefault(hub, []).append((marked, site.files.get(hub, {})))
            site.files[hub] = dict(self._find(copy, password).files)
            site.homes[hub], site.restored[hub] = epoch, copy
            site.restoring.discard(hub)
            site.record("copy.restored", hub)
        kept = tuple(f"memory://{site.site}/kept-{hub}-{n}" for n in range(len(site.kept.get(hub, ()))))
        return Restored(f"memory://{site.site}/{hub}", done, kept, site.store.restore_s if done else 0.0)

    async def abandon(self, hub: str) -> None:
        self._site.restoring.discard(hub)

    async def restore_aside(
        self, copy: CopyRef, user: str, folder: str, password: str, *, limit_s: float = 1800.0
    ) -> bool:
        if "/" in folder or folder.startswith("."):
            raise DriverError(f"{folder!r} cannot be the name of a folder in a home", delay_s=None)
        if copy.hub not in self._site.homes:
            raise DriverError(f"the homes of {copy.hub} are not at {self._site.site}")
        files, home = self._site.files.setdefault(copy.hub, {}), slug(user)
        if any(path.startswith(f"{home}/{folder}/") for path in files):
            return False
        await self._answers(limit_s, 0.0)
        if self._site.site in self._site.store.full:
            raise DriverError(f"the home {home} needs more than is free")
        saved = _home(self._find(copy, password).files, home)
        if saved is None:
            raise NotFound(f"the copy {copy.snapshot[:8]} of {copy.hub} by {copy.site} has no home of {user}")
        files.update({f"{home}/{folder}/{name}": content for name, content in saved.items()})
        return True

    async def save_unsent(
        self, hub: str, epoch: Epoch, base: CopyRef, password: str, *, run: str, limit_s: float = 3600.0
    ) -> UnsentWork:
        site, store = self._site, self._site.store
        here = {-1: site.homes[hub]} if hub in site.homes else {}
        here |= {n: marked for n, (marked, _files) in enumerate(site.kept.get(hub, ()))}
        which = the_tree_of(epoch, here)
        if which == -1 and hub in site.hubs:
            raise DriverError(f"{hub} runs here: its homes cannot be compared under it")
        tree = None if which is None else site.files.get(hub, {}) if which == -1 else site.kept[hub][which][1]
        if tree is None:
            raise NotFound(f"{site.site} has no tree of {hub} of epoch {epoch}")
        await self._answers(limit_s, store.save_s)
        store.passwords.setdefault((site.site, hub), password)
        self._open(site.site, hub, password)
        old = self._find(base, password).files
        self._add(hub, epoch, run, dict(tree), unsent=True)
        changed = {path: content for path, content in tree.items() if old.get(path) != content}
        changed = {path: content for path, content in changed.items() if worth_recovering(path)}
        site.record("unsent.saved", hub)
        if not changed:
            return UnsentWork("")
        homes = {home: _home(changed, home) or {} for home in _homes(changed)}
        name = self._add(hub, epoch, run, changed, unsent=True)
        return UnsentWork(name, {home: UnsentHome(len(f), sum(map(len, f.values()))) for home, f in homes.items()})

    async def recover(
        self, copy: CopyRef, folder: str, users: tuple[str, ...], password: str, *, limit_s: float = 3600.0
    ) -> Placed:
        named = {slug(user): user for user in users}
        done: list[str] = []
        there: list[str] = []
        unknown: list[str] = []
        for home in sorted(_homes(self._find(copy, password).files)):
            if home not in named and slug(home) != home:
                unknown.append(home)
                continue
            placed = await self.restore_aside(copy, named.get(home, home), folder, password, limit_s=limit_s)
            (done if placed else there).append(home)
        return Placed(tuple(done), tuple(there), tuple(unknown))

    def _add(self, hub: str, epoch: Epoch, run: str, files: dict[str, bytes], *, unsent: bool = False) -> str:
        """One more copy in this site's own repository; returns its id."""
        site, store = self._site, self._site.store
        name = hashlib.sha256(f"{site.site} {hub} {len(store.copies)}".encode()).hexdigest()
        ref = CopyRef(site.site, hub, name)
        store.copies.append(MemoryCopy(ref, epoch, run, site.clock.now(), files, unsent))
        return name

    async def _answers(self, limit_s: float, takes_s: float) -> None:
        store = self._site.store
        await self._site.clock.sleep(limit_s if store.silent else min(takes_s, limit_s))
        if store.silent or takes_s > limit_s:
            raise DeadlineExceeded(f"the store did not answer within {limit_s:.0f} s")
        if store.refusal:
            raise DriverError(store.refusal)

    def _open(self, site: str, hub: str, password: str) -> None:
        store = self._site.store
        if (site, hub) not in store.passwords:
            raise DriverError(f"there is no repository of {hub} by {site}")
        if store.passwords[site, hub] != password:
            raise DriverError(f"the password does not open the repository of {hub} by {site}")
        if (site, hub) in store.damaged:
            raise DriverError(f"the repository of {hub} by {site} is damaged")

    def _find(self, ref: CopyRef, password: str) -> MemoryCopy:
        self._open(ref.site, ref.hub, password)
        for copy in self._site.store.of(ref.site, ref.hub):
            if copy.ref == ref:
                return copy
        raise DriverError(f"this copy is not in the repository of {ref.hub} by {ref.site}: {ref.snapshot}")


def _homes(files: Mapping[str, bytes]) -> set[str]:
    return {path.split("/", 1)[0] for path in files}


def _home(files: Mapping[str, bytes], home: str) -> dict[str, bytes] | None:
    inside = {path[len(home) + 1 :]: content for path, content in files.items() if path.startswith(f"{home}/")}
    return inside or None
