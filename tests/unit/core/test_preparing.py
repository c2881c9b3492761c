"""What is done to a bare cluster: by what the site file asks for and what is there; never to what is somebody else's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from federation.core.preparing.kube_version import meets
from federation.core.preparing.plan import Decided, decide
from federation.core.preparing.seen import ArchiveSeen, ClassSeen, ClusterSeen, Place, ReleaseSeen, Right
from federation.model.preparation import Action, PreparePlan
from federation.model.site_prepare import Prepare
from federation.model.upstream_charts import UpstreamCharts

ROOK = ("rook-ceph", "ceph-csi-drivers", "rook-ceph-cluster")
NAMES = (*ROOK, "traefik", "cert-manager")
NODES = ("s1", "s2", "s3")
CEPH_CLASS = ClassSeen("ceph-block", "rook-ceph.rbd.csi.ceph.com", release="rook-ceph/rook-ceph-cluster")
CINDER = ClassSeen("cinder", "cinder.csi.openstack.org", default=True)
NGINX = ClassSeen("nginx", "k8s.io/ingress-nginx")
OURS_IN = ClassSeen("traefik", "traefik.io/ingress-controller", default=True, release="traefik/traefik")
POOL: dict[str, Any] = {
    "name": "p", "spec": {"failureDomain": "host"},
    "storageClass": {"isDefault": False, "parameters": {"csi.x/secret": "rook-csi-rbd-node", "imageFormat": "2"}},
}  # fmt: skip


def digest(name: str) -> str:
    return f"sha256:{name.encode().hex().ljust(64, '0')[:64]}"


def pins(**more: dict[str, Any]) -> UpstreamCharts:
    """Every chart at 1.2.3, with a digest; `more` by name, with _ for -."""
    charts = []
    for name in NAMES:
        namespace = "rook-ceph" if name in ROOK else name
        chart: dict[str, Any] = {
            "name": name, "repository": "https://x", "version": "1.2.3", "why": "x", "tried": "no", "namespace": namespace,
            "digest": digest(name), "digest_from": "a test",
            "values": {"cephBlockPools": [POOL]} if name == "rook-ceph-cluster" else {},
        }  # fmt: skip
        charts.append(chart | more.get(name.replace("-", "_"), {}))
    return UpstreamCharts.model_validate(
        {"apiVersion": "hubfed/v1", "kind": "UpstreamCharts", "spec": {"charts": charts}}
    )  # fmt: skip


def bare(**more: Any) -> ClusterSeen:
    """A cluster in which nothing is, that takes everything, with all charts at hand."""
    archives = {name: ArchiveSeen(digest(name), "1.2.3", ">=1.25.0-0") for name in NAMES}
    return replace(ClusterSeen(kubernetes="v1.35.4", storage_nodes=NODES, archives=archives), **more)


def wanted(**what: Any) -> Prepare:
    return Prepare.model_validate(what)


def all_of_it(**rook: Any) -> Prepare:
    return wanted(storage="rook", ingress="traefik", cert_manager=True, rook=rook)


def actions(plan: PreparePlan) -> dict[str, str]:
    return {item.chart: item.action.value for item in plan.items}


def installed(decided: Decided, **more: Any) -> ClusterSeen:
    """After exactly that plan."""
    places = {
        name: Place(ours=True, release=ReleaseSeen("deployed", f"{name}-1.2.3", work.mark))
        for name, work in decided.work.items()
    }
    return bare(places=places, storage=(CEPH_CLASS,), ingress=(OURS_IN,), **more)


def wrong(decided: Decided) -> str:
    return "\n".join(f"{one.at}: {one.wrong}" for one in decided.plan.objections)


def notes(decided: Decided) -> str:
    return "\n".join(decided.plan.notes)


# --- what is asked for


@pytest.mark.parametrize("prepare", [None, Prepare(), wanted(storage="none", ingress="none", cert_manager=False)])
def test_nothing_is_done_unless_it_is_asked_for(prepare: Prepare | None) -> None:
    plan = decide(prepare, pins(), bare()).plan
    assert (plan.items, plan.objections, plan.changes) == ((), (), False)
    assert "asks for nothing" in plan.notes[0]


def test_all_of_it_in_a_bare_cluster_operators_before_what_they_run() -> None:
    plan = decide(all_of_it(), pins(), bare()).plan
    assert list(actions(plan)) == [*ROOK, "traefik", "cert-manager"]
    assert set(actions(plan).values()) == {"install"}
    assert plan.objections == ()


@pytest.mark.parametrize(
    ("prepare", "charts"),
    [
        (wanted(storage="rook"), ROOK),
        (wanted(ingress="traefik"), ("traefik",)),
        (wanted(cert_manager=True), ("cert-manager",)),
    ],
)
def test_each_alone(prepare: Prepare, charts: tuple[str, ...]) -> None:
    assert tuple(actions(decide(prepare, pins(), bare()).plan)) == charts


def test_what_is_done_is_not_done_again_and_needs_no_archive_any_more() -> None:
    decided = decide(all_of_it(), pins(), bare())
    again = decide(all_of_it(), pins(), installed(decided, archives={}))
    assert set(actions(again.plan).values()) == {"keep"}
    assert (again.plan.changes, again.plan.objections) == (False, ())


def test_the_same_plan_has_the_same_fingerprint_and_another_one_another() -> None:
    first = decide(all_of_it(), pins(), bare()).plan
    assert decide(all_of_it(), pins(), bare()).plan.fingerprint == first.fingerprint
    others = [
        decide(all_of_it(), pins(), bare(ingress=(NGINX,))),
        decide(all_of_it(file_system=True), pins(), bare()),
        decide(all_of_it(), pins(traefik={"digest": digest("other")}), bare()),
        decide(all_of_it(), pins(), bare(storage_nodes=("s1",))),
    ]
    assert len({first.fingerprint, *(other.plan.fingerprint for other in others)}) == 5


def test_what_is_waited_for_is_no_other_plan_when_it_has_come_a_bit_further() -> None:
    prepare = wanted(ingress="traefik")
    done = decide(prepare, pins(), bare())
    found = []
    for waits in ("0 of 2 are up", "1 of 2 are up"):
        seen = installed(done)
        place = replace(seen.places["traefik"], unready=(f"Deployment traefik: {waits}",))
        found.append(decide(prepare, pins(), replace(seen, places={"traefik": place})).plan)
    assert [plan.items[0].action for plan in found] == [Action.WAIT, Action.WAIT]
    assert "1 of 2" in found[1].items[0].reason
    assert found[0].fingerprint == found[1].fingerprint


# --- what is there


@pytest.mark.parametrize(
    ("release", "action"),
    [
        (ReleaseSeen("deployed", "traefik-1.2.2", "hubfed of before"), "upgrade"),
        (ReleaseSeen("pending-install", "traefik-1.2.3", "Initial install underway", unfinished=True), "repair"),
        (ReleaseSeen("pending-upgrade", "traefik-1.2.3", "Preparing upgrade", unfinished=True), "repair"),
        (ReleaseSeen("failed", "traefik-1.2.3", "hook failed"), "repair"),
        (ReleaseSeen("uninstalling", "traefik-1.2.3", "", unfinished=True), "repair"),
        (ReleaseSeen("deployed", "traefik-1.2.2", "Rollback to 1"), "upgrade"),
    ],
)
def test_what_becomes_of_a_release_of_ours(release: ReleaseSeen, action: str) -> None:
    seen = bare(places={"traefik": Place(ours=True, release=release)}, ingress=(OURS_IN,))
    [item] = decide(wanted(ingress="traefik"), pins(), seen).plan.items
    assert (item.action, item.now) == (action, release.chart)


def test_an_interrupted_preparation_goes_on_with_what_is_left() -> None:
    decided = decide(all_of_it(), pins(), bare())
    places = dict(list(installed(decided).places.items())[:2])
    plan = decide(all_of_it(), pins(), bare(places=places)).plan
    assert list(actions(plan).values()) == ["keep", "keep", "install", "install", "install"]


@pytest.mark.parametrize(
    ("asked", "seen", "why"),
    [
        ("ingress", bare(ingress=(NGINX,)), "k8s.io/ingress-nginx (class nginx)"),
        ("ingress", bare(ingress=(replace(OURS_IN, release="kube-system/traefik"),)), "has an ingress controller"),
        (
            "ingress",
            bare(places={"traefik": Place(ours=False, release=ReleaseSeen("deployed", "traefik-39.0.0", "by hand"))}),
            "somebody else has installed traefik-39.0.0 in the namespace traefik",
        ),
        ("certificates", bare(crds={"certificates.cert-manager.io": ""}), "and no release has it"),
        ("certificates", bare(crds={"certificates.cert-manager.io": "infra/cm"}), "of the release infra/cm"),
        (
            "storage",
            bare(crds={"cephclusters.ceph.rook.io": "rook-ceph/rook-ceph"}),
            "cephclusters.ceph.rook.io is there",
        ),
    ],
)
def test_what_somebody_else_has_installed_is_left_alone_with_the_reason(
    asked: str, seen: ClusterSeen, why: str
) -> None:
    prepare = {
        "ingress": wanted(ingress="traefik"), "certificates": wanted(cert_manager=True), "storage": wanted(storage="rook"),
    }[asked]  # fmt: skip
    plan = decide(prepare, pins(), replace(seen, storage_nodes=(), archives={})).plan
    assert set(actions(plan).values()) == {"leave"}
    assert all(why in item.reason for item in plan.items)
    assert plan.objections == (), "what is left alone needs no nodes and no charts"


def test_definitions_that_our_own_release_has_left_are_ours() -> None:
    seen = bare(
        places={"cert-manager": Place(ours=True)}, crds={"certificates.cert-manager.io": "cert-manager/cert-manager"}
    )
    assert actions(decide(wanted(cert_manager=True), pins(), seen).plan) == {"cert-manager": "install"}


def test_an_ingress_controller_that_came_after_ours_is_said_and_ours_goes_on() -> None:
    prepare = wanted(ingress="traefik")
    seen = installed(decide(prepare, pins(), bare()))
    decided = decide(prepare, pins(), replace(seen, ingress=(OURS_IN, NGINX)))
    assert actions(decided.plan) == {"traefik": "keep"}
    assert "classes of others, which are left alone: nginx" in notes(decided)


# --- storage


def test_a_default_class_of_somebody_else_stays_the_default_one() -> None:
    decided = decide(all_of_it(default_class=True), pins(), bare(storage=(CINDER,)))
    assert actions(decided.plan)["rook-ceph-cluster"] == "install"
    assert default_of(decided) is False
    assert "the default storage class stays cinder" in notes(decided)


@pytest.mark.parametrize("asked", [True, False])
def test_ours_becomes_the_default_one_only_if_it_is_asked_for(asked: bool) -> None:
    decided = decide(all_of_it(default_class=asked), pins(), bare())
    assert default_of(decided) is asked
    assert ("no default storage class" in notes(decided)) is not asked


def test_ours_that_is_the_default_one_stays_so_when_another_one_comes() -> None:
    prepare = all_of_it(default_class=True)
    seen = installed(decide(prepare, pins(), bare()))
    seen = replace(seen, storage=(replace(CEPH_CLASS, default=True), CINDER))
    decided = decide(prepare, pins(), seen)
    assert actions(decided.plan)["rook-ceph-cluster"] == "keep"
    assert "ceph-block and cinder are all default storage classes" in notes(decided)


def default_of(decided: Decided) -> bool:
    [pool] = decided.work["rook-ceph-cluster"].values["cephBlockPools"]
    found: bool = pool["storageClass"]["isDefault"]
    return found


@pytest.mark.parametrize(("nodes", "said"), [((), "0 have it"), (("s1",), "1 has it"), (("s1", "s2"), "2 have it")])
def test_rook_needs_three_nodes(nodes: tuple[str, ...], said: str) -> None:
    decided = decide(all_of_it(), pins(), bare(storage_nodes=nodes))
    assert "spec.prepare.storage: rook needs 3 nodes" in wrong(decided)
    assert said in wrong(decided)


def test_disks_are_those_of_the_nodes_or_volumes_of_a_class_that_is_there() -> None:
    values = decide(all_of_it(), pins(), bare()).work["rook-ceph-cluster"].values
    assert values["cephClusterSpec"]["storage"] == {"useAllNodes": True, "useAllDevices": True}
    rook = {"volume_class": "cinder", "volume_size": "300Gi"}
    decided = decide(all_of_it(**rook), pins(), bare(storage=(CINDER,)))
    storage = decided.work["rook-ceph-cluster"].values["cephClusterSpec"]["storage"]
    [disks] = storage["storageClassDeviceSets"]
    assert (storage["useAllNodes"], disks["count"]) == (False, 3)
    [claim] = disks["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "300Gi"
    assert "no storage class cinder; it has none" in wrong(decide(all_of_it(**rook), pins(), bare()))


def test_the_file_system_comes_with_its_driver_and_only_if_it_is_asked_for() -> None:
    without, with_it = (decide(all_of_it(file_system=yes), pins(), bare()).work for yes in (False, True))
    assert "cephFileSystems" not in without["rook-ceph-cluster"].values
    assert without["ceph-csi-drivers"].values == {}
    assert with_it["ceph-csi-drivers"].values == {"drivers": {"cephfs": {"enabled": True}}}
    [system] = with_it["rook-ceph-cluster"].values["cephFileSystems"]
    assert system["storageClass"]["parameters"] == {"csi.x/secret": "rook-csi-cephfs-node"}


# --- what is in the way, all at once


def test_everything_that_is_in_the_way_is_said_at_once() -> None:
    prepare = Prepare.model_validate(
        {"storage": "rook", "ingress": "traefik", "values": {"traefick": {}}, "digests": {"jupyterhub": digest("x")}}
    )
    seen = bare(
        kubernetes="v1.24.9",
        storage_nodes=(),
        archives={"traefik": ArchiveSeen(digest("traefik"), "1.2.3", ">=1.25.0-0")},
        lacking=(Right("create", "clusterroles", "rbac.authorization.k8s.io"),),
    )
    said = wrong(decide(prepare, pins(), seen))
    for part in (
        "spec.prepare.values.traefick: no chart traefick",
        "spec.prepare.digests.jupyterhub: no chart jupyterhub",
        "chart rook-ceph: nobody has looked for it",
        "chart traefik: it asks for Kubernetes >=1.25.0-0, and the cluster has v1.24.9",
        "spec.prepare.storage: rook needs 3 nodes",
        "spec.prepare.kubeconfig: the right to install is missing: create clusterroles.rbac.authorization.k8s.io",
    ):
        assert part in said


def test_without_the_rights_to_look_nothing_else_is_said() -> None:
    plan = decide(all_of_it(), pins(), ClusterSeen(missing=(Right("list", "nodes"),))).plan
    assert plan.items == ()
    [objection] = plan.objections
    assert (objection.at, objection.wrong) == ("spec.prepare.kubeconfig", "the right to look is missing: list nodes")
    assert "spec.prepare.kubeconfig" in objection.todo


def test_rights_to_change_are_needed_by_changes_alone() -> None:
    lacking = (Right("create", "secrets"),)
    decided = decide(all_of_it(), pins(), bare(lacking=lacking))
    assert "create secrets" in wrong(decided)
    assert wrong(decide(all_of_it(), pins(), installed(decided, lacking=lacking))) == ""


def test_the_makers_oldest_kubernetes_counts_where_the_chart_says_nothing() -> None:
    seen = bare(kubernetes="v1.30.1")
    said = wrong(decide(wanted(storage="rook"), pins(rook_ceph={"kubernetes": "1.31"}), seen))
    assert said == "chart rook-ceph: it asks for Kubernetes >=1.31.0-0, and the cluster has v1.30.1"


def test_nothing_is_taken_back_to_an_older_version() -> None:
    release = ReleaseSeen("deployed", "traefik-1.10.0", "hubfed of a newer one")
    seen = bare(places={"traefik": Place(ours=True, release=release)}, ingress=(OURS_IN,))
    assert "traefik-1.10.0 is installed, which is newer than 1.2.3" in wrong(
        decide(wanted(ingress="traefik"), pins(), seen)
    )


def test_a_site_may_name_other_bytes_and_other_values() -> None:
    prepare = Prepare.model_validate(
        {"ingress": "traefik", "digests": {"traefik": digest("mine")}, "values": {"traefik": {"replicas": 1}}}
    )
    decided, usual = decide(prepare, pins(), bare()), decide(wanted(ingress="traefik"), pins(), bare())
    assert decided.work["traefik"].chart.digest == digest("mine")
    assert decided.work["traefik"].values == {"replicas": 1}
    assert decided.work["traefik"].mark != usual.work["traefik"].mark


def test_whom_a_change_may_cut_off_is_said() -> None:
    release = ReleaseSeen("deployed", "traefik-1.2.2", "hubfed of before")
    seen = bare(places={"traefik": Place(ours=True, release=release)}, ingress=(OURS_IN,), hubs=4)
    assert "4 classes are in this cluster" in notes(decide(wanted(ingress="traefik"), pins(), seen))
    assert "classes" not in notes(decide(wanted(ingress="traefik"), pins(), bare(hubs=4)))


@pytest.mark.parametrize(
    ("version", "constraint", "takes"),
    [
        ("v1.35.4", "", True),
        ("v1.35.4", ">=1.25.0-0", True),
        ("v1.35.4", ">= 1.25.0-0", True),
        ("v1.24.17-gke.100", ">=1.25.0-0", False),
        ("v1.25.0-eks-1", ">=1.25.0-0", True),
        ("v1.31.2+k3s1", ">=1.28.0 <1.32.0", True),
        ("v1.32.0", ">=1.28.0, <1.32.0", False),
        ("v1.30.1", "1.28 - 1.30", True),
        ("v1.31.0", "1.28 - 1.30", False),
        ("v1.31.5", "1.31", True),
        ("v1.31.5", "1.31.x", True),
        ("v1.32.5", "~1.31.2", False),
        ("v1.31.1", "~1.31.2", False),
        ("v1.35.0", "^1.28.0", True),
        ("v1.20.0", "<1.19.0 || >=1.20.0", True),
        ("v1.19.3", "<1.19.0 || >=1.20.0", False),
        ("v1.19.3", "!=1.19", False),
        ("v1.35.4", "whatever", None),
        ("nonsense", ">=1.25.0-0", None),
    ],
)
def test_which_kubernetes_a_chart_takes(version: str, constraint: str, takes: bool | None) -> None:
    assert meets(version, constraint) is takes
