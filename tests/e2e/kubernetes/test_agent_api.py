"""The agent's client of the cluster, on a real API server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.refusals import ApiRefused
from tests.e2e.kubernetes.conftest import new_namespace
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster
from tests.testbed.credentials import ADMIN

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]


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


async def test_what_was_changed_since_it_was_seen_is_not_deleted(api_only: Cluster) -> None:
    namespace = new_namespace(api_only.api)
    path = f"{paths.namespace(namespace)}/configmaps"
    api = Api("iu", api_only.control.files.kubeconfig(ADMIN))
    try:
        seen = await api.create(path, {"metadata": {"name": "settings"}, "data": {"a": "b"}})
        changed = await api.merge(f"{path}/settings", {"data": {"a": "c"}})
        assert seen is not None
        assert not await api.delete(f"{path}/settings", seen=seen)
        assert await api.get(f"{path}/settings") == changed
        assert await api.delete(f"{path}/settings", seen=changed)
        assert not await api.delete(f"{path}/settings", seen=changed), "it is gone"
        assert not await api.delete(f"{path}/settings")
    finally:
        await api.close()
