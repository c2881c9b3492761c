"""The site file: an edge that listens everywhere says where it is."""

from __future__ import annotations

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
