"""The list of upstream charts: what comes with hubfed is right, and what is wrong with one is said with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.model.files.finding import Checked
from federation.model.files.load import read_upstream
from federation.model.upstream_charts import UpstreamCharts, version_key
from federation.runtime.chart_archives import shipped_pins

ONE: dict[str, Any] = {
    "name": "traefik", "repository": "https://charts.example.edu", "version": "41.6.0", "why": "x", "tried": "no",
}  # fmt: skip


def read(*charts: dict[str, Any]) -> Checked[UpstreamCharts]:
    body = {"apiVersion": "hubfed/v1", "kind": "UpstreamCharts", "spec": {"charts": list(charts)}}
    return read_upstream("pins.yaml", yaml.safe_dump(body, sort_keys=False).encode())


def shipped() -> UpstreamCharts:
    checked = read_upstream(shipped_pins().name, shipped_pins().read_bytes())
    assert checked.findings == ()
    return checked.values[0]


def test_the_list_of_this_version_is_right() -> None:
    names = [chart.name for chart in shipped().charts]
    assert names == ["jupyterhub", "rook-ceph", "ceph-csi-drivers", "rook-ceph-cluster", "traefik", "cert-manager"]


def test_the_list_is_the_one_of_the_checkout() -> None:
    assert shipped_pins() == Path(__file__).parents[3] / "charts/upstream.yaml"


def test_hubs_have_values_of_their_own_and_are_nothing_that_a_site_is_prepared_with() -> None:
    [hub] = [chart for chart in shipped().charts if chart.namespace is None]
    assert (hub.name, hub.values) == ("jupyterhub", {})


def test_ceph_is_small_and_on_nodes_of_its_own() -> None:
    """Part D.5 of what is known of Rook: the object store is on by default, and its class becomes the default one."""
    ceph = shipped().named("rook-ceph-cluster")
    assert ceph is not None
    values: Any = ceph.values
    assert values["cephClusterSpec"]["mon"] == {"count": 3, "allowMultiplePerNode": False}
    assert (values["cephObjectStores"], values["cephFileSystems"]) == ([], [])
    [pool] = values["cephBlockPools"]
    assert pool["spec"]["failureDomain"] == "host"
    assert pool["storageClass"]["isDefault"] is False
    assert "hubfed.io/storage" in str(values["cephClusterSpec"]["placement"]["all"])


@pytest.mark.parametrize(
    ("charts", "path", "said"),
    [
        ([ONE, ONE], "spec.charts[1].name", "traefik is there twice"),
        ([{**ONE, "after": ["rook"]}], "spec.charts[0].after[0]", "rook is not before traefik"),
        ([{**ONE, "after": ["traefik"]}], "spec.charts[0].after[0]", "traefik is not before traefik"),
        ([{**ONE, "version": "41"}], "spec.charts[0].version", "'41' is no version of a chart"),
        ([{**ONE, "digest": "sha256:abc", "digest_from": "x"}], "spec.charts[0].digest", "is not a digest"),
        ([{**ONE, "digest": f"sha256:{'0' * 64}"}], "spec.charts[0].digest", "digest without digest_from"),
        ([{**ONE, "digest_from": "x"}], "spec.charts[0].digest_from", "digest_from without digest"),
        ([{**ONE, "repository": "oci://ghcr.io/traefik"}], "spec.charts[0].repository", "is no repository of charts"),
        ([{**ONE, "repository": "https://me:secret@x"}], "spec.charts[0].repository", "has a password in it"),
        ([{**ONE, "kubernetes": "v1.31.0"}], "spec.charts[0].kubernetes", "is no version of Kubernetes"),
        ([{**ONE, "digets": "x"}], "spec.charts[0].digets", "did you mean digest?"),
        ([], "spec.charts", ""),
    ],
)
def test_what_is_wrong_is_said_with_its_place(charts: list[dict[str, Any]], path: str, said: str) -> None:
    findings = read(*charts).findings
    assert path in {finding.path for finding in findings}
    assert said in "\n".join(map(str, findings))


def test_versions_are_compared_as_numbers_and_a_v_means_nothing() -> None:
    ordered = ["nonsense", "0.9.0", "v1.9.0", "1.20.6-rc.1", "v1.20.6", "1.20.10"]
    assert sorted(ordered, key=version_key) == ordered
    assert version_key("v1.20.6") == version_key("1.20.6")
