"""The chart that runs hubs in tests: our own stand-in for zero-to-jupyterhub, or the real one, which is not in this
repository, from the folder that HUBFED_CHARTS names. `tests/charts/README.md` says how to get that one ready."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import yaml

from tests.testbed import binaries, credentials
from tests.testbed.cluster import Cluster
from tests.testbed.jupyter_images import HUB, PROXY, USER

NAME = "jupyterhub"
OWN = Path(__file__).resolve().parents[1] / "charts"
LIMIT_S = 300.0
Values = dict[str, Any]


class HelmFailed(Exception):
    """What it said."""


def chart() -> Path:
    """The chart's folder."""
    return Path(os.environ.get("HUBFED_CHARTS") or OWN) / NAME


def which() -> str:
    """For the report of a run."""
    return f"the real chart in {chart()}" if os.environ.get("HUBFED_CHARTS") else "our own chart, tests/charts"


def values_here() -> Values:
    """What every class is given besides its own values, because this is a testbed: images that nodes have, and nothing
    that would need others. Both charts are given the same."""
    return {
        "hub": {"image": _image(HUB)},
        "proxy": {"chp": {"image": _image(PROXY)}},
        "singleuser": {"image": _image(USER), "cloudMetadata": {"blockWithIptables": False}},
        "scheduling": {"userScheduler": {"enabled": False}},  # its image is kube-scheduler
        "prePuller": {"hook": {"enabled": False}, "continuous": {"enabled": False}},
    }


def template(*values: Mapping[str, Any]) -> list[Values]:
    """The objects, without a cluster. Raises HelmFailed if the chart refuses the values."""
    said = _helm(None, "template", NAME, chart(), values=values)
    return [body for body in yaml.safe_load_all(said) if body]


def install(cluster: Cluster, namespace: str, release: str, *values: Mapping[str, Any]) -> None:
    """Or an upgrade, if it is there; returns when the objects are written, which is before the hub serves."""
    _helm(cluster, "upgrade", "--install", release, chart(), f"--namespace={namespace}", values=values)


def uninstall(cluster: Cluster, namespace: str, release: str) -> None:
    """Students' servers and homes stay: they are not the release's."""
    _helm(cluster, "uninstall", release, f"--namespace={namespace}")


def _helm(cluster: Cluster | None, *words: object, values: tuple[Mapping[str, Any], ...] = ()) -> str:
    """What it printed. `values`: later ones win. It keeps its own files in a folder that is gone afterwards."""
    inside = cluster.daemons.inside if cluster else nullcontext
    with tempfile.TemporaryDirectory(prefix="hubfed-helm-") as folder, inside():
        given = [f"--values={_written(Path(folder, f'{number}.yaml'), part)}" for number, part in enumerate(values)]
        env = {"PATH": os.environ["PATH"], "HOME": folder}
        if cluster:
            env["KUBECONFIG"] = str(cluster.control.files.kubeconfig(credentials.ADMIN))
        command = [str(binaries.helm()), *map(str, words), *given]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode != 0:
        raise HelmFailed(done.stderr)
    return done.stdout


def _written(file: Path, values: Mapping[str, Any]) -> Path:
    file.write_text(yaml.safe_dump(dict(values)))
    return file


def _image(name: str) -> Values:
    name, _, tag = name.rpartition(":")
    return {"name": name, "tag": tag, "pullPolicy": "Never"}
