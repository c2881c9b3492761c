"""The site file: an edge that listens everywhere says where it is."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from federation.model.files.finding import Checked
from federation.model.files.load import read_site
from federation.model.site_file import SiteFile


def read(**edge: str) -> Checked[SiteFile]:
    spec = {"kind": "local", "capacity": {"cpu": 30, "memory": "60G"}, "edge": edge}
    body = {"apiVersion": "hubfed/v1", "kind": "Site", "metadata": {"name": "iu"}, "spec": spec}
    return read_site("iu.yaml", yaml.safe_dump(body).encode())


@pytest.mark.parametrize("listen", ["0.0.0.0:80", "[::]:80"])
def test_an_edge_that_listens_everywhere_says_where_names_lead(listen: str) -> None:
    (finding,) = read(listen=listen).findings
    assert finding.path == "spec.edge.address"
    assert "every address of this host" in str(finding)
    assert read(listen=listen, address="192.0.2.10:80").findings == ()


def test_an_edge_at_one_address_needs_no_other() -> None:
    assert read(listen="192.0.2.10:80").findings == ()


def prepared(kind: str = "kubernetes", **prepare: Any) -> Checked[SiteFile]:
    needed: dict[str, Any] = {"cluster": {"kubeconfig": "k"}, "capacity": {"cpu": 30, "memory": "60G"}}
    spec = {"kind": kind, **needed, "prepare": prepare}
    body = {"apiVersion": "hubfed/v1", "kind": "Site", "metadata": {"name": "iu"}, "spec": spec}
    return read_site("iu.yaml", yaml.safe_dump(body).encode())


def test_nothing_of_a_cluster_is_prepared_unless_the_file_says_so() -> None:
    (site,) = prepared().values
    assert site.spec.prepare is not None
    assert site.spec.prepare.nothing
    (site,) = prepared(storage="rook", rook={"volume_class": "cinder", "volume_size": "300Gi"}).values
    assert site.spec.prepare is not None
    assert not site.spec.prepare.nothing


@pytest.mark.parametrize(
    ("prepare", "path", "said"),
    [
        ({"storage": "ceph"}, "spec.prepare.storage", "rook"),
        ({"ingress": "nginx"}, "spec.prepare.ingress", "traefik"),
        ({"cert_manager": "yes"}, "spec.prepare.cert_manager", "true"),
        ({"rook": {"file_system": True}}, "spec.prepare.rook", "storage is none"),
        ({"storage": "rook", "rook": {"volume_class": "c"}}, "spec.prepare.rook.volume_class", "without volume_size"),
        ({"storage": "rook", "rook": {"volume_size": "1Gi"}}, "spec.prepare.rook.volume_size", "without volume_class"),
        ({"digests": {"traefik": "41.6.0"}}, "spec.prepare.digests.traefik", "is not a digest"),
        ({"kubconfig": "x"}, "spec.prepare.kubconfig", "did you mean kubeconfig?"),
    ],
)
def test_what_is_wrong_with_what_is_to_be_prepared_is_said_with_its_place(
    prepare: dict[str, Any], path: str, said: str
) -> None:
    findings = prepared(**prepare).findings
    assert path in {finding.path for finding in findings}
    assert said in "\n".join(map(str, findings))


def test_a_local_site_has_no_cluster_to_prepare() -> None:
    (finding,) = prepared("local", ingress="traefik").findings
    assert (finding.path, "no cluster" in finding.wrong) == ("spec.prepare", True)
