"""Our own charts: what they make is what is written down, what they are given is checked, and all of it is marked as ours.

No cluster is needed. Goldens are written by scripts/gen-charts.
"""

from __future__ import annotations

import copy
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.drivers.kubernetes.charts import Chart
from federation.core.chart_values.row import SitePart
from federation.model.files.load import read_federation, read_site
from federation.model.profile import PROFILES, Profile
from federation.runtime.daemon import EXIT_SUPERSEDED
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
AGENT = next(case.values for case in ALL if str(case) == "site-agent-pod")
COORDINATOR = next(case.values for case in ALL if str(case) == "coordinator-c1")
WRONG += [
    ("coordinator", {**COORDINATOR, "id": "c9"}, "c9 is none of federation.spec.coordinators, which are c1, c2, c3"),
    ("coordinator", {**COORDINATOR, "replicas": 3}, "replicas"),
    ("coordinator", {**COORDINATOR, "files": {}}, "secret"),
    ("coordinator", {**COORDINATOR, "federation": AGENT["site"]}, "federation"),
    ("site-agent", {**AGENT, "replicas": 2}, "replicas"),
    ("site-agent", {**AGENT, "image": ""}, "image"),
    ("site-agent", {**AGENT, "tls": {"secret": ""}}, "secret"),
    ("site-agent", {**AGENT, "site": {**AGENT["site"], "kind": "Classroom"}}, "kind"),
    ("site-agent", {**AGENT, "state": {"accessMode": "ReadWriteMany"}}, "accessMode"),
    ("site-agent", {**AGENT, "runtimeDir": "/var/lib/hubfed"}, "runtimeDir"),
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
        ours = "app.kubernetes.io/managed-by" in labels or labels.get("app.kubernetes.io/part-of") == "hubfed"
        assert ours, body["metadata"]["name"]
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


def agent() -> dict[str, Any]:
    """The agent's pod."""
    [case] = [case for case in ALL if str(case) == "site-agent-pod"]
    [found] = [body for body in case.objects() if body["kind"] == "StatefulSet"]
    pod: dict[str, Any] = found["spec"]["template"]["spec"]
    return pod


def script(container: dict[str, Any], **instead: str) -> str:
    """What its shell runs, with other paths and programs."""
    text: str = container["command"][-1]
    for word, other in instead.items():
        text = text.replace({"boot": "/proc/sys/kernel/random/boot_id"}.get(word, word), other)
    return text


def arrive(folder: Path, boot: str) -> list[str]:
    """A pod starts where this boot is; what is in the runtime folder afterwards."""
    for name in ("state", "run"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "boot").write_text(f"{boot}\n")
    [container] = agent()["initContainers"]
    text = script(container, boot=str(folder / "boot"))
    text = text.replace("/var/lib/hubfed", str(folder / "state")).replace("/run/hubfed", str(folder / "run"))
    subprocess.run(["/bin/sh", "-euc", text], check=True, timeout=20)
    return sorted(path.name for path in (folder / "run").iterdir())


def test_a_pod_that_comes_again_to_its_node_goes_on_with_its_lease_file_and_one_that_was_elsewhere_does_not(
    tmp_path: Path,
) -> None:
    assert arrive(tmp_path, "one") == []
    (tmp_path / "run/lease.json").touch()
    (tmp_path / "run/ack.json").touch()
    assert arrive(tmp_path, "one") == ["ack.json", "lease.json"]
    assert arrive(tmp_path, "two") == [], "the claim went along, and the folder is another node's or another boot's"
    (tmp_path / "run/lease.json").touch()
    assert arrive(tmp_path, "one") == [], "back again: what lies there is of the first stay"
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("code", [0, 1])
def test_an_agent_that_ends_is_started_again(code: int) -> None:
    done = subprocess.run(["/bin/sh", "-uc", _of_agent(f"exit {code}")], check=False, timeout=20)
    assert done.returncode == code


def test_an_agent_that_was_superseded_stays_down_until_its_pod_ends() -> None:
    command = ["/bin/sh", "-uc", _of_agent(f"exit {EXIT_SUPERSEDED}")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "stays down" in running.stderr.readline()
        running.terminate()
        assert running.wait(timeout=20) == 0


def test_an_agent_that_is_told_to_end_ends_by_itself() -> None:
    ends = "trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done"
    with subprocess.Popen(["/bin/sh", "-uc", _of_agent(ends)], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "up\n"
        running.terminate()
        assert running.stdout.readline() == "bye\n"
        assert running.wait(timeout=20) == 0


def _of_agent(instead: str) -> str:
    container = next(one for one in agent()["containers"] if one["name"] == "agent")
    program = next(line.strip() for line in container["command"][-1].splitlines() if "fed-agent --site" in line)
    return script(container, **{program: f"/bin/sh -c {shlex.quote(instead)} &"})


def test_agent_and_fencer_share_folders_and_nothing_with_which_they_sign_in() -> None:
    mounts = {
        one["name"]: {mount["name"]: mount["mountPath"] for mount in one["volumeMounts"]}
        for one in agent()["containers"]
    }
    shared = mounts["agent"].keys() & mounts["fencer"].keys()
    assert shared == {"files", "state", "runtime"}
    assert agent()["automountServiceAccountToken"] is False
    assert mounts["agent"]["runtime"] == mounts["fencer"]["runtime"] == "/run/hubfed"
    assert mounts["agent"]["state"] == mounts["fencer"]["state"] == "/var/lib/hubfed"


def test_the_site_file_in_the_pod_is_one_and_names_what_is_mounted() -> None:
    [case] = [case for case in ALL if str(case) == "site-agent-pod"]
    [files] = [body["data"] for body in case.objects() if body["kind"] == "ConfigMap"]
    read = read_site("site.yaml", files["site.yaml"].encode())
    assert not read.findings
    [site] = read.values
    assert SitePart.of(site).edge_address == "fed-agent.hubfed.svc:8446"
    mounted = [mount["mountPath"] for one in agent()["containers"] for mount in one["volumeMounts"]]
    assert site.spec.cluster is not None
    assert site.spec.cluster.kubeconfig in mounted
    for name in ("kubeconfig", "fencer.kubeconfig"):
        assert yaml.safe_load(files[name])["users"][0]["user"]["tokenFile"].startswith("/var/run/secrets/hubfed/")


@pytest.mark.parametrize("name", ["c1", "c3"])
def test_a_coordinator_in_a_pod_is_the_one_of_its_unit(name: str) -> None:
    """The same program with the same options, and a federation file in which it is."""
    [case] = [case for case in ALL if str(case) == f"coordinator-{name}"]
    by_kind = {body["kind"]: body for body in case.objects()}
    read = read_federation("federation.yaml", by_kind["ConfigMap"]["data"]["federation.yaml"].encode())
    assert not read.findings
    settings = read.values[0].spec.coordinator(name)
    assert settings is not None
    [container] = by_kind["StatefulSet"]["spec"]["template"]["spec"]["containers"]
    assert settings.listen.endswith(f":{container['ports'][0]['containerPort']}")
    unit = (ROOT / "configs/systemd/fed-coordinator.service").read_text()
    [start] = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    options = {word for word in start.split() if word.startswith("--")}
    assert {argument.partition("=")[0] for argument in container["args"]} == options
    folders = {mount["mountPath"] for mount in container["volumeMounts"]}
    register = read.values[0].spec.register_.tls
    assert register is not None
    assert str(Path(register.key).parent) in folders


@pytest.mark.parametrize("profile", PROFILES.values(), ids=lambda profile: profile.name.value)
def test_the_fencer_beside_the_agent_knows_the_profile_too(profile: Profile) -> None:
    values = copy.deepcopy(dict(AGENT))
    values["site"]["spec"]["agent"]["profile"] = profile.name.value
    text = render(CHARTS / "site-agent", "site-agent", "hubfed", values)
    assert f"--longest={profile.longest_s:g}\n" in text


def test_the_agent_finds_its_chart() -> None:
    assert Chart.own("classroom").path == CHARTS / "classroom"
