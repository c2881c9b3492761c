"""Helm releases of one cluster: installed, upgraded, mended, removed, rendered. Pods are watched by others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import structlog

from agents.drivers.kubernetes.helm_command import GRACE_S, HelmCommand, HelmPlace
from agents.drivers.kubernetes.helm_words import HelmFailed, Trouble, without_shown
from agents.drivers.kubernetes.release import Release, Status, fingerprint
from agents.drivers.kubernetes.release_records import ReleaseRecords
from federation.model.errors import FederationError
from federation.runtime.clock import Clock
from federation.runtime.processes import Processes

__all__ = ["Release", "Releases", "Status", "fingerprint"]

log = structlog.get_logger(__name__)
A = TypeVar("A")
LOOK_LIMIT_S = 60.0
LOOK_AGAIN_S = 1.0
PATIENCE_S = 30.0
MARK = "HUBFED_RELEASE"
BY_HAND = ("Install complete", "Upgrade complete")  # what Helm writes if nobody says what to
CUT_SHORT = (Trouble.SLOW, Trouble.KILLED)


@dataclass(slots=True)
class Releases:
    """The releases of one cluster. One Helm at a time changes a namespace, of those of this agent; waiting for that turn,
    and mending, is not part of any limit. Values are secret: they go to Helm over standard input, and nowhere else.

    All errors are HelmFailed or, of the cluster's own API, DriverError. `marks` tell this site's processes from all others.
    A release on which somebody else's Helm is at work is left to it for `patience_s`; then that one is taken for dead.
    """

    helm: Path
    kubeconfig: Path
    records: ReleaseRecords  # of the same cluster
    home: Path  # Helm's own folder, private
    processes: Processes
    clock: Clock
    marks: Mapping[str, str] = field(default_factory=dict)
    patience_s: float = PATIENCE_S
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict)
    _met: set[str] = field(default_factory=set)
    _cut_short: set[str] = field(default_factory=set)

    async def get(self, namespace: str, name: str) -> Release | None:
        """Look."""
        past = await self._past(namespace, name, 1)
        return past[-1] if past else None

    async def apply(
        self, namespace: str, name: str, chart: Path, values: Mapping[str, Any], *, description: str, limit_s: float
    ) -> Release:
        """Make the release be this chart with these values, whatever it was, and nothing of earlier values. The namespace
        has to be there. It does not wait for pods.

        An upgrade that fails is rolled back to what was deployed, for which there is as much time again; one that was cut
        short by the limit is not: apply it again. No mending and no rollback deletes a claim.
        """
        what = f"{name} cannot be brought to {namespace}"
        async with self._turn(namespace):
            past = await self._mended(namespace, name)
            if past and past[-1].description in BY_HAND:
                log.info("release.adopted", namespace=namespace, release=name, chart=past[-1].chart, by="hand")
            try:
                made = await self._change(
                    namespace, name, what, limit_s,
                    lambda helm: helm.install_or_upgrade(
                        name, chart, dict(values), description=description, namespace=namespace,
                        create_namespace=False, reset_values=True,  # else empty values mean those of before
                    ),
                )  # fmt: skip
            except HelmFailed as why:
                if why.trouble in CUT_SHORT:
                    raise
                raise await self._rolled_back(past, namespace, name, why, limit_s) from why
        about, info = made["chart"]["metadata"], made["info"]
        chart_name = f"{about['name']}-{about['version']}"
        return Release(namespace, name, made["version"], Status(info["status"]), chart_name, info["description"])

    async def remove(self, namespace: str, name: str, *, limit_s: float) -> None:
        """Uninstall it with everything that its chart made, claims too, except what the chart says is to be kept.
        Idempotent. Returns when the cluster was told; what goes may take a while."""
        what = f"{name} cannot be removed from {namespace}"
        async with self._turn(namespace):
            await self._alone(namespace, name)
            try:
                await self._change(
                    namespace, name, what, limit_s, lambda helm: helm.uninstall(name, namespace=namespace)
                )
            except HelmFailed as error:
                if error.trouble is not Trouble.NOT_FOUND:
                    raise

    async def render(
        self, namespace: str, name: str, chart: Path, values: Mapping[str, Any], *, limit_s: float
    ) -> tuple[dict[str, Any], ...]:
        """The objects that the chart makes of these values. Asks no cluster."""
        helm = self._helm(f"{name} cannot be rendered", limit_s)
        objects = await helm.template(
            name, chart, dict(values), namespace=namespace, include_crds=True
        )  # fmt: skip
        return await asyncio.to_thread(lambda: tuple(found for found in objects if found))

    async def version(self) -> str:
        """Of Helm, e.g. 4.3.1."""
        said: str = await self._helm("the version of Helm is not known", LOOK_LIMIT_S).version()
        return said.strip().removeprefix("v")

    def _turn(self, namespace: str) -> asyncio.Lock:
        return self._turns.setdefault(namespace, asyncio.Lock())

    def _helm(self, what: str, limit_s: float, **marks: str) -> HelmCommand:
        return HelmCommand(HelmPlace(self.helm, self.kubeconfig, self.home, self.marks), what, limit_s, marks)

    async def _change(
        self, namespace: str, name: str, what: str, limit_s: float, do: Callable[[HelmCommand], Awaitable[A]]
    ) -> A:
        """Run a Helm that changes the release; if it does not end by itself, the release is known to be unfinished."""
        mark = f"{namespace}/{name}"
        self._cut_short.add(mark)
        try:
            done = await do(self._helm(what, limit_s, **{MARK: mark}))
        except HelmFailed as error:
            if error.trouble not in CUT_SHORT:
                self._cut_short.discard(mark)
            raise
        self._cut_short.discard(mark)
        return done

    async def _past(self, namespace: str, name: str, most: int = 256) -> list[Release]:
        """Its revisions, oldest first."""
        helm = self._helm(f"{name} in {namespace} cannot be looked at", LOOK_LIMIT_S)
        try:
            rows = await helm.history(name, namespace=namespace, max_revisions=most)
        except HelmFailed as error:
            if error.trouble is Trouble.NOT_FOUND:
                return []
            raise
        past = [
            Release(
                namespace, name, row["revision"], Status(row["status"]), row["chart"], without_shown(row["description"])
            )
            for row in rows
        ]
        return sorted(past, key=lambda release: release.revision)

    async def _alone(self, namespace: str, name: str) -> None:
        """Once: end what an earlier agent left running."""
        mark = f"{namespace}/{name}"
        if mark in self._met:
            return
        if await self.processes.stop({**self.marks, MARK: mark}, grace_s=GRACE_S):
            self._cut_short.add(mark)
        self._met.add(mark)

    async def _mended(self, namespace: str, name: str) -> list[Release]:
        """Its revisions, of which the last one is finished. One that is not, because its Helm was killed, is forgotten;
        what it made stays and is taken over. To roll back, or to uninstall, would delete claims that it brought."""
        await self._alone(namespace, name)
        while True:
            past = await self._past(namespace, name)
            if not past or not past[-1].status.unfinished:
                return past
            if f"{namespace}/{name}" not in self._cut_short and not await self._stands_still(past[-1]):
                continue
            forgotten = past if past[-1].status is Status.UNINSTALLING else past[-1:]
            for release in forgotten:
                if await self.records.drop(namespace, name, release.revision, release.status):
                    log.warning(
                        "release.revision_forgotten", namespace=namespace, release=name, revision=release.revision,
                        status=str(release.status), why="its Helm was killed", kept="all that it made",
                    )  # fmt: skip

    async def _stands_still(self, seen: Release) -> bool:
        """Whether it is the same after a while: else another Helm, somebody's own, is at work on it."""
        log.info("release.busy", namespace=seen.namespace, release=seen.name, status=str(seen.status))
        begin = self.clock.mono()
        while self.clock.mono() - begin < self.patience_s:
            await self.clock.sleep(LOOK_AGAIN_S)
            if await self.get(seen.namespace, seen.name) != seen:
                return False
        return True

    async def _rolled_back(
        self, past: list[Release], namespace: str, name: str, why: HelmFailed, limit_s: float
    ) -> HelmFailed:
        """The error, with what became of the release."""
        deployed = next((release for release in reversed(past) if release.status is Status.DEPLOYED), None)
        if deployed is None:
            return why
        to = f"revision {deployed.revision}"
        try:
            now = await self.get(namespace, name)
            if now is None or now.revision <= past[-1].revision:
                return why  # nothing had begun
            await self._spare_claims(deployed)
            await self._change(
                namespace, name, f"{name} cannot be rolled back", limit_s,
                lambda helm: helm.rollback(name, deployed.revision, namespace=namespace),
            )  # fmt: skip
        except FederationError as error:
            return HelmFailed(why.trouble, f"{why.message}; and back to {to} it did not come: {error.message}")
        log.warning("release.rolled_back", namespace=namespace, release=name, to=deployed.revision, why=why.message)
        return HelmFailed(why.trouble, f"{why.message}; it was rolled back to {to}")

    async def _spare_claims(self, deployed: Release) -> None:
        """Those that are new since: a rollback would delete them, and what was written to them."""
        namespace, name = deployed.namespace, deployed.name
        helm = self._helm(f"the claims of {name} cannot be listed", LOOK_LIMIT_S)
        objects = await helm.get_resources(name, namespace=namespace, revision=deployed.revision)
        known = await asyncio.to_thread(
            lambda: {o["metadata"]["name"] for o in objects if o and o["kind"] == "PersistentVolumeClaim"}
        )
        spared = await self.records.spare_claims(namespace, name, known)
        if spared:
            log.warning("release.claims_kept", namespace=namespace, release=name, claims=spared)
