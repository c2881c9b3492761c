"""Looks at a cluster, and at the folder of charts, before it is prepared: everything that the plan is decided by."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.charts import Chart
from agents.drivers.kubernetes.installed import notes_of, unready
from agents.drivers.kubernetes.marks import HUB, PREPARED
from agents.drivers.kubernetes.node_room import node_refusal
from agents.drivers.kubernetes.release_records import RELEASE
from agents.drivers.kubernetes.releases import Releases
from federation.core.preparing.plan import STORAGE_LABEL
from federation.core.preparing.seen import (
    CHANGING,
    LOOKING,
    ArchiveSeen,
    ClassSeen,
    ClusterSeen,
    Place,
    ReleaseSeen,
    Right,
)
from federation.model.errors import InvalidRequest
from federation.model.upstream_charts import PinnedChart
from federation.runtime.chart_archives import archives_of, digest_of

Object = dict[str, Any]
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
DEFAULT = ("storageclass.kubernetes.io/is-default-class", "ingressclass.kubernetes.io/is-default-class")
ASKED_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Look:
    """As the account that prepares."""

    site: str
    api: Api
    releases: Releases
    folder: Path  # of charts

    async def at(self, charts: Sequence[PinnedChart]) -> ClusterSeen:
        """Everything, or only the rights that are missing. DriverError if the cluster does not answer."""
        missing = await self._without(LOOKING)
        if missing:
            return ClusterSeen(missing=missing)
        version = await self.api.get(paths.VERSION) or {}
        definitions = await self.api.items(paths.DEFINITIONS)
        nodes = await self.api.items(paths.NODES, labels=f"{STORAGE_LABEL}=true")
        return ClusterSeen(
            kubernetes=str(version.get("gitVersion", "")),
            lacking=await self._without(CHANGING),
            places={chart.name: await self._place(chart) for chart in charts},
            storage=tuple(_classes(await self.api.items(paths.STORAGE_CLASSES))),
            ingress=tuple(_classes(await self.api.items(paths.INGRESS_CLASSES))),
            crds={one["metadata"]["name"]: release_of(one) for one in definitions},
            storage_nodes=tuple(sorted(one["metadata"]["name"] for one in nodes if takes_storage(one))),
            archives={chart.name: await asyncio.to_thread(self._archive, chart) for chart in charts},
            hubs=len(await self.api.items(paths.NAMESPACES, labels=HUB)),
        )

    async def _without(self, rights: Iterable[Right]) -> tuple[Right, ...]:
        """Those of them that the account has not."""
        gate = asyncio.Semaphore(ASKED_AT_ONCE)

        async def allowed(right: Right) -> bool:
            asked = {"verb": right.verb, "resource": right.resource, "group": right.group}
            body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
            async with gate:
                said = await self.api.create(paths.ACCESS_REVIEWS, {**body, "spec": {"resourceAttributes": asked}})
            return bool(((said or {}).get("status") or {}).get("allowed"))

        every = tuple(rights)
        answers = await asyncio.gather(*(allowed(right) for right in every))
        return tuple(right for right, yes in zip(every, answers, strict=True) if not yes)

    async def _place(self, chart: PinnedChart) -> Place:
        namespace = chart.namespace or ""
        found = await self.api.get(paths.namespace(namespace))
        if found is None:
            return Place()
        ours = (found["metadata"].get("labels") or {}).get(PREPARED) == self.site
        release = await self.releases.get(namespace, chart.name)
        if release is None:
            return Place(ours)
        seen = ReleaseSeen(str(release.status), release.chart, release.description, release.status.unfinished)
        waits = await unready(self.api, chart) if ours and seen.deployed else ()
        return Place(ours, seen, waits)

    def _archive(self, chart: PinnedChart) -> ArchiveSeen:
        """The archive whose bytes are the pinned ones, whatever it is called."""
        if chart.digest is None:
            return ArchiveSeen(
                trouble="no digest is pinned for it, and the site file names none (spec.prepare.digests)"
            )
        others = []
        try:
            for path in archives_of(self.folder, chart.name):
                found = digest_of(path)
                if found == chart.digest:
                    read = Chart.read(path)
                    return ArchiveSeen(found, read.version, read.kubernetes)
                others.append(f"{path.name} is {found}")
        except (OSError, InvalidRequest) as error:
            return ArchiveSeen(trouble=f"{self.folder} cannot be read: {error}")
        if others:
            return ArchiveSeen(trouble=f"{', '.join(others)}; wanted is {chart.digest}")
        return ArchiveSeen(trouble=f"{chart.archive} is not in {self.folder}")


def archive_of(folder: Path, chart: PinnedChart) -> Path:
    """Of the pinned bytes. InvalidRequest if it is not there any more."""
    for path in archives_of(folder, chart.name):
        if digest_of(path) == chart.digest:
            return path
    raise InvalidRequest(f"{chart.archive} of the pinned digest is not in {folder} any more")


def release_of(found: Object) -> str:
    """namespace/name of the Helm release that the object is of; empty: of none."""
    notes = notes_of(found)
    return f"{notes.get(RELEASE_NAMESPACE, '')}/{notes[RELEASE]}" if RELEASE in notes else ""


def takes_storage(node: Object) -> bool:
    """Whether Ceph's pods can run there: a taint that keeps all others out is no hindrance to them."""
    return node_refusal(node) in ("", f"taint {STORAGE_LABEL}")


def _classes(found: Iterable[Object]) -> Iterable[ClassSeen]:
    for one in found:
        notes = notes_of(one)
        by = one.get("provisioner") or (one.get("spec") or {}).get("controller") or ""
        default = any(notes.get(mark) == "true" for mark in DEFAULT)
        yield ClassSeen(one["metadata"]["name"], str(by), default, release_of(one))
