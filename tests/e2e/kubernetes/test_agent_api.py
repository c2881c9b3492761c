"""The agent's client of the cluster, on a real API server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.refusals import ApiRefused
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster
from tests.testbed.credentials import ADMIN

pytestmark = pytest.mark.timeout(BUILT_S)


async def test_credentials_that_were_renewed_are_read_anew_once_the_old_ones_are_refused(
    api_only: Cluster, tmp_path: Path
) -> None:
    right, here = api_only.control.files.kubeconfig(ADMIN), tmp_path / "kubeconfig"
    here.write_text(right.read_text().replace(api_only.control.files.token(ADMIN), "ended"))
    api = Api("iu", here)
    try:
        with pytest.raises(ApiRefused, match="does not know the agent's credentials"):
            await api.items(paths.NAMESPACES)
        shutil.copy(right, here)
        assert "default" in {one["metadata"]["name"] for one in await api.items(paths.NAMESPACES)}
    finally:
        await api.close()
