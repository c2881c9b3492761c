"""Our own charts: what they make is what is written down, what they are given is checked, and all of it is marked as ours.

No cluster is needed. Goldens are written by scripts/gen-charts.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agents.drivers.kubernetes.charts import Chart
from federation.model.profile import PROFILES, Profile
from tests.testbed import binaries
from tests.testbed.binaries import BUILT_S
from tests.testbed.own_charts import CHARTS, ROOT, Case, Refused, cases, lint, render

pytestmark = pytest.mark.timeout(BUILT_S)

ALL = cases()
OURS = sorted(path.parent.name for path in CHARTS.glob("*/Chart.yaml"))
CLASSROOM = {"site": "iu", "hub": "atm101-x7k2p9", "classroom": "atm101"}
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("classroom", {}, "hub"),
    ("classroom", {**CLASSROOM, "quotas": {}}, "quotas"),
    ("classroom", {**CLASSROOM, "quota": {"claims": "700"}}, "claims"),
    ("classroom", {**CLASSROOM, "quota": {"servers": {"most": 44}}}, "whose pods are bounded"),
    ("classroom", {**CLASSROOM, "memoryLimit": "8G"}, "memoryLimit"),
    ("classroom", {**CLASSROOM, "labels": {"year": 2026}}, "year"),
    ("classroom", {**CLASSROOM, "students": {"closed": ["fd00::/8"]}}, "closed"),
    ("classroom", {**CLASSROOM, "agent": {"networks": ["10.0.0.5"]}}, "networks"),
]


FENCER = next(case.values for case in ALL if str(case) == "site-fencer-norm")
WRONG += [
    ("site-fencer", {**FENCER, "image": "registry.example.edu/hubfed"}, "image"),
    ("site-fencer", {**FENCER, "profile": "fast"}, "profile"),
    ("site-fencer", {**FENCER, "agent": {**FENCER["agent"], "ca": "/etc/hubfed/ca.pem"}}, "ca"),
    ("site-fencer", {**FENCER, "runtimeDir": "/var/lib/hubfed"}, "runtimeDir"),
]


@pytest.fixture(scope="module", autouse=True)
def _helm() -> None:
    binaries.helm()


def test_every_chart_is_rendered() -> None:
    assert OURS
    assert {case.chart for case in ALL} == set(OURS)


def test_what_is_written_down_is_what_they_make() -> None:
    done = subprocess.run([sys.executable, ROOT / "scripts/gen-charts", "--check"], check=False)
    assert done.returncode == 0, "run scripts/gen-charts, and read what changed"


@pytest.mark.parametrize("chart", OURS)
def test_a_change_of_any_template_is_seen(chart: str, tmp_path: Path) -> None:
    shutil.copytree(CHARTS / chart, tmp_path / chart)
    mine = [case for case in ALL if case.chart == chart]
    for template in sorted((tmp_path / chart / "templates").glob("*.yaml")):
        before = template.read_text()
        template.write_text(before + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: another}\n")
        assert any(case.text(tmp_path) != case.target.read_text() for case in mine), template.name
        template.write_text(before)
    assert all(case.text(tmp_path) == case.target.read_text() for case in mine), "nothing else is different there"


@pytest.mark.parametrize("case", ALL, ids=str)
def test_helm_has_no_more_than_remarks(case: Case) -> None:
    lint(CHARTS / case.chart, case.values)


@pytest.mark.parametrize("case", ALL, ids=str)
def test_everything_is_marked_as_ours(case: Case) -> None:
    for body in case.objects():
        labels = body["metadata"].get("labels", {})
        assert "app.kubernetes.io/managed-by" in labels, body["metadata"]["name"]
        if case.chart == "classroom":
            assert (labels["hubfed.io/hub"], labels["hubfed.io/site"]) == (case.namespace, case.values["site"])
            assert "namespace" not in body["metadata"], "all of it is in the hub's namespace, and goes with that"


@pytest.mark.parametrize(("chart", "values", "named"), WRONG)
def test_values_that_are_wrong_are_named(chart: str, values: dict[str, Any], named: str) -> None:
    with pytest.raises(Refused, match=named):
        render(CHARTS / chart, chart, "hubfed", values)


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name.value)
def test_fencers_know_how_far_ahead_a_deadline_can_lie(profile: Profile) -> None:
    text = render(CHARTS / "site-fencer", "site-fencer", "hubfed", {**FENCER, "profile": profile.name.value})
    assert f"--longest={profile.longest_s:g}\n" in text


def test_a_fencer_on_a_node_has_one_right_of_root_and_no_account() -> None:
    [case] = [case for case in ALL if str(case) == "site-fencer-norm"]
    [pod] = [body["spec"]["template"]["spec"] for body in case.objects() if body["kind"] == "DaemonSet"]
    assert pod["automountServiceAccountToken"] is False
    security = pod["containers"][0]["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"], "add": ["KILL"]}
    assert (security["readOnlyRootFilesystem"], security["allowPrivilegeEscalation"]) == (True, False)
    writable = [mount["name"] for mount in pod["containers"][0]["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["runtime"]


def test_the_agent_finds_its_chart() -> None:
    assert Chart.own("classroom").path == CHARTS / "classroom"
