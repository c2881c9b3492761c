"""What is installed, upgraded, repaired or left alone in a cluster, by what its site file asks for and what is there.

Somebody else's is never touched: an ingress controller, an operator or a default class that this project has not installed
stays as it is, and the plan says so. Whatever keeps a plan from being carried out is said at once, all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from federation.core.preparing.kube_version import meets, numbers
from federation.core.preparing.seen import ArchiveSeen, ClassSeen, ClusterSeen, Place, ReleaseSeen
from federation.core.preparing.wanted import (
    CEPH,
    CEPH_DISKS,
    INGRESS,
    STORAGE,
    TRAEFIK,
    Component,
    components,
    mark_of,
    pinned,
    values_digest,
    values_of,
)
from federation.model.preparation import Action, Objection, PrepareItem, PreparePlan
from federation.model.site_prepare import Prepare
from federation.model.upstream_charts import PinnedChart, UpstreamCharts, version_key

STORAGE_LABEL = "hubfed.io/storage"
KUBECONFIG = "spec.prepare.kubeconfig"


@dataclass(frozen=True, slots=True)
class Work:
    """How an item is carried out: the release is described by `mark`, by which it is known again."""

    chart: PinnedChart
    values: dict[str, Any]
    mark: str


@dataclass(frozen=True, slots=True)
class Decided:
    """A plan, and for each chart that it may change how."""

    plan: PreparePlan
    work: dict[str, Work]


def decide(prepare: Prepare | None, pins: UpstreamCharts, seen: ClusterSeen) -> Decided:
    """The plan for this cluster."""
    if prepare is None or prepare.nothing:
        note = "the site file asks for nothing: set storage, ingress or cert_manager in spec.prepare"
        return Decided(PreparePlan.of(notes=(note,)), {})
    if seen.missing:
        return Decided(PreparePlan.of(objections=[_missing(right, "to look") for right in seen.missing]), {})
    wrong = list(_unknown_charts(prepare, pins))
    items: list[PrepareItem] = []
    work: dict[str, Work] = {}
    default = _may_be_default(pins, seen)
    for component in components(prepare):
        charts = [pinned(prepare, pins, name) for name in component.charts]
        foreign = _foreign(component, charts, seen)
        for chart in charts:
            values = values_of(prepare, chart, default_class=default and prepare.rook.default_class)
            work[chart.name] = Work(chart, values, mark_of(chart, values))
            item, against = _item(chart, work[chart.name], foreign, seen)
            items.append(item)
            wrong += against
        if not foreign and component is STORAGE:
            wrong += _storage_against(prepare, seen)
    if any(item.changes for item in items):
        wrong += (_missing(right, "to install") for right in seen.lacking)
    notes = (*_storage_notes(prepare, pins, items, seen), *_ingress_notes(pins, items, seen), *_hub_notes(items, seen))
    return Decided(PreparePlan.of(items, wrong, notes), work)


def _item(chart: PinnedChart, work: Work, foreign: str, seen: ClusterSeen) -> tuple[PrepareItem, list[Objection]]:
    place = seen.places.get(chart.name, Place())
    archive, release = seen.archives.get(chart.name, ArchiveSeen(trouble="nobody has looked for it")), place.release
    item = PrepareItem(
        chart=chart.name,
        version=archive.version or chart.version,
        namespace=chart.namespace or "",
        action=Action.LEAVE,
        now=release.chart if release is not None else "",
        digest=chart.digest or "",
        values=values_digest(work.values),
        reason=foreign,
    )
    if foreign:
        return item, []
    action, reason = _action(place, release, work.mark)
    item = item.revise(action=action, reason=reason)
    against = _against(item, chart, archive, seen) if item.changes and action is not Action.WAIT else []
    return item, against


def _action(place: Place, release: ReleaseSeen | None, mark: str) -> tuple[Action, str]:
    if release is None:
        return Action.INSTALL, ""
    if not release.deployed:
        said = "was interrupted" if release.unfinished else f"is {release.status}"
        return Action.REPAIR, f"the release {said}"
    if release.description != mark:
        return Action.UPGRADE, "its chart or its values are others"
    if place.unready:
        return Action.WAIT, "; ".join(place.unready)
    return Action.KEEP, ""


def _against(item: PrepareItem, chart: PinnedChart, archive: ArchiveSeen, seen: ClusterSeen) -> list[Objection]:
    """What keeps this chart from being installed."""
    found: list[Objection] = []
    at = f"chart {chart.name}"
    if archive.trouble:
        todo = (
            f"`fedctl charts pull {chart.name}`, and bring it to the folder that the agent has (spec.cluster.charts)."
        )
        found.append(Objection(at=at, wrong=archive.trouble, todo=todo))
    installed = version_key(item.now.removeprefix(f"{chart.name}-"))
    if item.now and installed > version_key(item.version):
        wrong = f"{item.now} is installed, which is newer than {item.version}: nothing is taken back"
        found.append(Objection(at=at, wrong=wrong, todo="Update hubfed, whose list has an older one."))
    for asked in (archive.kubernetes, f">={chart.kubernetes}.0-0" if chart.kubernetes else ""):
        if asked and meets(seen.kubernetes, asked) is False:
            wrong = f"it asks for Kubernetes {asked}, and the cluster has {seen.kubernetes}"
            found.append(Objection(at=at, wrong=wrong, todo="Upgrade the cluster, or leave this out of spec.prepare."))
            break
    if numbers(seen.kubernetes) is None:
        found.append(Objection(at=at, wrong=f"the cluster says that it is Kubernetes {seen.kubernetes!r}"))
    return found


def _foreign(component: Component, charts: list[PinnedChart], seen: ClusterSeen) -> str:
    """Why the component is somebody else's in this cluster; empty: it is ours, or nobody's."""
    for chart in charts:
        place = seen.places.get(chart.name, Place())
        if place.release is not None and not place.ours:
            return f"somebody else has installed {place.release.chart} in the namespace {chart.namespace}"
    ours = {f"{chart.namespace}/{chart.name}" for chart in charts if seen.places.get(chart.name, Place()).ours}
    if component.crd in seen.crds and seen.crds[component.crd] not in ours:
        owner = seen.crds[component.crd]
        return f"{component.crd} is there already, {f'of the release {owner}' if owner else 'and no release has it'}"
    if component is INGRESS and not ours.intersection(_owners(seen, charts)):
        others = [one for one in seen.ingress if one.release not in ours]
        if others:
            said = ", ".join(f"{one.by} (class {one.name})" for one in others)
            return f"the cluster has an ingress controller: {said}"
    return ""


def _owners(seen: ClusterSeen, charts: list[PinnedChart]) -> set[str]:
    """Releases of these charts that are there."""
    return {f"{chart.namespace}/{chart.name}" for chart in charts if seen.places.get(chart.name, Place()).release}


def _storage_against(prepare: Prepare, seen: ClusterSeen) -> list[Objection]:
    found: list[Objection] = []
    nodes = seen.storage_nodes
    if len(nodes) < CEPH_DISKS:
        have = f"{len(nodes)} has" if len(nodes) == 1 else f"{len(nodes)} have"
        wrong = f"rook needs {CEPH_DISKS} nodes with the label {STORAGE_LABEL}=true that take pods, and {have} it"
        todo = f"kubectl label node NAME {STORAGE_LABEL}=true, for nodes that are never taken away."
        found.append(Objection(at=STORAGE.at, wrong=wrong, todo=todo))
    wanted = prepare.rook.volume_class
    if wanted is not None and wanted not in {one.name for one in seen.storage}:
        known = ", ".join(one.name for one in seen.storage) or "none"
        wrong = f"the cluster has no storage class {wanted}; it has {known}"
        found.append(Objection(at="spec.prepare.rook.volume_class", wrong=wrong))
    return found


def _unknown_charts(prepare: Prepare, pins: UpstreamCharts) -> list[Objection]:
    known = [chart.name for chart in pins.charts if chart.namespace is not None]
    named = [(f"spec.prepare.{field}", name) for field in ("digests", "values") for name in getattr(prepare, field)]
    return [
        Objection(at=f"{at}.{name}", wrong=f"no chart {name} is installed by this", todo=f"One of {', '.join(known)}.")
        for at, name in named
        if name not in known
    ]


def _missing(right: object, for_what: str) -> Objection:
    todo = "Give it to that account, or name another in spec.prepare.kubeconfig; docs/reference/cluster-rights.md."
    return Objection(at=KUBECONFIG, wrong=f"the right {for_what} is missing: {right}", todo=todo)


def _ours(pins: UpstreamCharts, name: str, seen: ClusterSeen) -> str:
    """namespace/name of our release of the chart; empty if its namespace is not ours."""
    chart = pins.named(name)
    place = seen.places.get(name, Place())
    return f"{chart.namespace}/{name}" if chart is not None and place.ours else ""


def _others_default(pins: UpstreamCharts, seen: ClusterSeen) -> list[ClassSeen]:
    ours = _ours(pins, CEPH, seen)
    return [one for one in seen.storage if one.default and (not ours or one.release != ours)]


def _may_be_default(pins: UpstreamCharts, seen: ClusterSeen) -> bool:
    """Unless somebody else's is; but what is the default already is not taken back because another came later."""
    ours = _ours(pins, CEPH, seen)
    already = any(one.default and ours and one.release == ours for one in seen.storage)
    return already or not _others_default(pins, seen)


def _storage_notes(
    prepare: Prepare, pins: UpstreamCharts, items: list[PrepareItem], seen: ClusterSeen
) -> tuple[str, ...]:
    notes: list[str] = []
    default, others = [one.name for one in seen.storage if one.default], _others_default(pins, seen)
    if len(default) > 1:
        notes.append(
            f"{' and '.join(default)} are all default storage classes: claims that name none get the newest; take the mark "
            "from all but one"
        )
    ceph = any(item.chart == CEPH and item.action is not Action.LEAVE for item in items)
    if ceph and others and prepare.rook.default_class:
        notes.append(
            f"the default storage class stays {others[0].name}, which is somebody else's: ceph-block is not it"
        )
    if ceph and not prepare.rook.default_class:
        notes.append("ceph-block is not the default storage class: hubs use it with spec.storage.class: ceph-block")
    if not default and not (ceph and prepare.rook.default_class):
        notes.append("the cluster has no default storage class: hubs need spec.storage.class in the site file")
    return tuple(notes)


def _ingress_notes(pins: UpstreamCharts, items: list[PrepareItem], seen: ClusterSeen) -> tuple[str, ...]:
    ours = _ours(pins, TRAEFIK, seen)
    others = sorted(one.name for one in seen.ingress if not ours or one.release != ours)
    if others and any(item.chart == TRAEFIK and item.action is not Action.LEAVE for item in items):
        return (f"beside ours there are ingress classes of others, which are left alone: {', '.join(others)}",)
    return ()


def _hub_notes(items: list[PrepareItem], seen: ClusterSeen) -> tuple[str, ...]:
    """Students first (I8): an admin decides when, and should know whom it meets."""
    upgraded = [item.chart for item in items if item.action in (Action.UPGRADE, Action.REPAIR)]
    if not upgraded or not seen.hubs:
        return ()
    many = f"{seen.hubs} classes are" if seen.hubs > 1 else "1 class is"
    return (f"{many} in this cluster, and may be cut off for a moment while {' and '.join(upgraded)} is changed",)
