"""What Helm does where no cluster is, or none that answers."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from agents.drivers.kubernetes import releases as module
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.helm_words import HelmFailed, Trouble
from agents.drivers.kubernetes.release_records import ReleaseRecords
from agents.drivers.kubernetes.releases import Releases, fingerprint
from federation.runtime.clock import SystemClock
from federation.runtime.processes import SystemProcesses
from tests.support.etcd import free_ports
from tests.support.helm import TINY, setting
from tests.testbed import binaries
from tests.testbed.binaries import BUILT_S

pytestmark = pytest.mark.timeout(BUILT_S)


def releases_at(folder: Path, port: int = 1, helm: Path | None = None) -> Releases:
    """For a cluster that is said to be at that port."""
    content: dict[str, Any] = {
        "clusters": [{"name": "it", "cluster": {"server": f"https://127.0.0.1:{port}"}}],
        "users": [{"name": "me", "user": {"token": "mine"}}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "me"}}],
        "current-context": "it",
    }
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(content))
    clock = SystemClock()
    marks, records = {"HUBFED_DIR": str(folder)}, ReleaseRecords(Api("iu", kubeconfig))  # which nothing here asks
    program = helm or binaries.helm()
    return Releases(program, kubeconfig, records, folder / "helm", SystemProcesses(clock), clock, marks)


async def test_a_chart_is_rendered_without_a_cluster(tmp_path: Path) -> None:
    values = {"greeting": "good morning", "more": [setting("more", a="b")], "claim": False}
    made = await releases_at(tmp_path).render("atm101", "tiny", TINY, values, limit_s=60.0)
    assert sorted((row["kind"], row["metadata"]["name"]) for row in made) == [
        ("ConfigMap", "more"), ("ConfigMap", "tiny"), ("Secret", "tiny"),
    ]  # fmt: skip
    with pytest.raises(HelmFailed, match="a greeting is needed"):
        await releases_at(tmp_path).render("atm101", "tiny", TINY, {"greeting": ""}, limit_s=60.0)


async def test_helm_is_of_version_3_or_4(tmp_path: Path) -> None:
    assert (await releases_at(tmp_path).version()).partition(".")[0] in {"3", "4"}


async def test_without_a_helm_it_is_said_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(HelmFailed, match="make tools") as failed:
        await releases_at(tmp_path, helm=tmp_path / "nothing").version()
    assert failed.value.trouble is Trouble.NO_PROGRAM


async def test_a_cluster_that_is_down_is_not_a_release_that_is_not_there(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with pytest.raises(HelmFailed, match="tiny in atm101 cannot be looked at: the cluster does not answer") as failed:
        await releases_at(tmp_path, port).get("atm101", "tiny")
    assert failed.value.trouble is Trouble.UNREACHABLE


async def test_a_cluster_that_is_silent_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_LIMIT_S", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(HelmFailed, match="within 3 s") as failed:
        await releases_at(tmp_path, silent.getsockname()[1]).get("atm101", "tiny")
    assert failed.value.trouble is Trouble.SLOW
    assert SystemProcesses(SystemClock()).find({"HUBFED_DIR": str(tmp_path)}) == []


def test_a_fingerprint_tells_another_release_from_the_same(tmp_path: Path) -> None:
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("name: one")
    same = fingerprint(chart, {"a": 1, "b": [2]})
    assert fingerprint(chart, {"b": [2], "a": 1}) == same
    assert fingerprint(chart, {"a": 1, "b": [3]}) != same
    (chart / "templates/new").touch()
    assert fingerprint(chart, {"a": 1, "b": [2]}) != same
