"""Our own charts as they are rendered: for which values, and where the result lies. `scripts/gen-charts` writes them."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from federation.core.chart_values.row import Given, SitePart
from federation.core.chart_values.table import classroom_values
from federation.model.files.load import read_classrooms, read_site
from federation.runtime.helm_program import find_helm

ROOT = Path(__file__).resolve().parents[2]
CHARTS = ROOT / "charts"
GOLDEN = ROOT / "tests/charts/golden"
VALUES = ROOT / "tests/charts/values"
ACCOUNT = """# As whom the {who} {where} signs in, and all that it may do; why is in docs/reference/cluster-rights.md.
# Written by scripts/gen-charts: the rules are in charts/site-agent. Apply it, and make a kubeconfig of the token.
apiVersion: v1
kind: Namespace
metadata: {{name: hubfed, labels: {{app.kubernetes.io/part-of: hubfed}}}}
"""
Object = dict[str, Any]
BUCKET = "s3:https://s3.example.edu/hub-homes"
LIMIT_S = 60.0


class Refused(Exception):
    """What Helm said."""


@dataclass(frozen=True, slots=True)
class Case:
    """A chart with values. `only`: the one template that is rendered; empty: all. `head`: what goes before it."""

    chart: str
    name: str
    release: str
    namespace: str
    values: Mapping[str, Any]
    target: Path
    only: str = ""
    head: str = ""

    def __str__(self) -> str:
        return f"{self.chart}-{self.name}"

    def text(self, charts: Path = CHARTS) -> str:
        """As it is to lie there."""
        only = (f"--show-only=templates/{self.only}",) if self.only else ()
        return self.head + render(charts / self.chart, self.release, self.namespace, self.values, *only)

    def objects(self, charts: Path = CHARTS) -> list[Object]:
        return [body for body in yaml.safe_load_all(self.text(charts)) if body]


def cases() -> list[Case]:
    """All."""
    return [*_classrooms(), *_accounts(), *_coordinators(), *_written()]


def render(chart: Path, release: str, namespace: str, values: Mapping[str, Any], *more: str) -> str:
    """Refused says why the chart does not take the values."""
    return helm("template", release, chart, f"--namespace={namespace}", *more, values=values)


def lint(chart: Path, values: Mapping[str, Any]) -> str:
    """What Helm says of it; Refused if it is more than a remark."""
    return helm("lint", "--strict", chart, values=values)


def helm(*words: object, values: Mapping[str, Any]) -> str:
    """What it printed. Asks no cluster, and leaves nothing."""
    with tempfile.TemporaryDirectory(prefix="hubfed-helm-") as folder:
        given = Path(folder, "values.yaml")
        given.write_text(yaml.safe_dump(dict(values)))
        command = [str(find_helm()), *map(str, words), f"--values={given}"]
        env = {"HOME": folder, "PATH": "/usr/bin:/bin"}
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise Refused(done.stderr + done.stdout)
    return done.stdout


def _classrooms() -> list[Case]:
    """As the agent gives them: a class with much of what there is, at a site in a cluster and at one that tells little."""
    return [
        _classroom("own-cluster", "configs/classrooms/atm101.yaml", _site("configs/sites/own-cluster.yaml")),
        _classroom(
            "agent-in-a-pod",
            "configs/classrooms/uwd25f.yaml",
            SitePart("tacc", "fed-agent.hubfed.svc:8446", store=BUCKET),
        ),
        _classroom("edge-beside-the-agent", "configs/classrooms/least.yaml", SitePart("iu")),
    ]


def _classroom(name: str, file: str, site: SitePart) -> Case:
    path = ROOT / file
    read = read_classrooms([(str(path), path.read_bytes())], lambda beside: (path.parent / beside).read_bytes())
    classroom = read.values[0]
    hub = f"{classroom.name}-000000"
    values = classroom_values(Given(classroom, hub, site))
    return Case("classroom", name, "classroom", hub, values, GOLDEN / f"classroom-{name}.yaml")


def _site(file: str) -> SitePart:
    return SitePart.of(read_site(file, (ROOT / file).read_bytes()).values[0])


def _accounts() -> list[Case]:
    """For an agent on a host: what `kubectl apply` takes, without Helm."""
    return [_account("agent", "of a site with a cluster"), _account("fencer", "on the agent's host")]


def _account(who: str, where: str) -> Case:
    target = ROOT / f"configs/kubernetes/{who}.yaml"
    head = ACCOUNT.format(who=who, where=where)
    values = {"runs": "host"}
    return Case("site-agent", f"{who}-account", "site-agent", "hubfed", values, target, f"{who}-account.yaml", head)


def _coordinators() -> list[Case]:
    """Two of the three of one federation, with the federation file of both."""
    federation = yaml.safe_load((ROOT / "configs/federation/two-clouds.yaml").read_text())
    values = {
        "image": "registry.example.edu/hubfed:0.1.0",
        "federation": federation,
        "files": {"secret": "coordinator"},
    }
    witness = {**values, "id": "c3", "service": {"type": "LoadBalancer"}, "state": {"storageClass": "standard"}}
    return [
        Case("coordinator", str(one["id"]), "coordinator", "hubfed", one, GOLDEN / f"coordinator-{one['id']}.yaml")
        for one in ({**values, "id": "c1"}, witness)
    ]


def _written() -> list[Case]:
    """Charts that people install: values as they write them, `values/CHART-NAME.yaml`."""
    found = []
    for path in sorted(VALUES.glob("*.yaml")):
        chart = max((one.name for one in CHARTS.iterdir() if path.stem.startswith(f"{one.name}-")), key=len)
        name = path.stem.removeprefix(f"{chart}-")
        values = yaml.safe_load(path.read_text()) or {}
        found.append(Case(chart, name, chart, "hubfed", values, GOLDEN / path.name))
    return found
