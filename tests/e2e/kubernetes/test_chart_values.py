"""The values that we make are values that the chart takes; what the upstream chart refuses is refused."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from federation.core.chart_values.row import Given
from federation.core.chart_values.table import values_of
from federation.model.classroom import Classroom
from federation.model.files.load import read_classrooms
from tests.testbed import hub_chart
from tests.testbed.binaries import BUILT_S
from tests.testbed.hub_chart import HelmFailed

pytestmark = pytest.mark.timeout(BUILT_S)

FOLDER = Path(__file__).resolve().parents[3] / "configs/classrooms"
WRONG: dict[str, dict[str, Any]] = {
    "an unknown part": {"singelUser": {}},
    "an unknown key of a seat": {"singleuser": {"start_timeout": 600}},
    "an unknown key of the hub": {"hub": {"concurrent_spawn_limit": 64}},
    "an unknown key of scheduling": {"scheduling": {"userScheduling": {}}},
    "an unknown key of the ingress": {"ingress": {"enabled": False, "host": "a.example.edu"}},
    "an unknown key of culling": {"cull": {"enabled": True, "after": 3600}},
    "a quoted number": {"singleuser": {"cpu": {"guarantee": "1"}}},
    "a number in quotes where time is": {"cull": {"enabled": True, "timeout": "3600"}},
    "a label that is no text": {"singleuser": {"extraLabels": {"seat": 1}}},
    "an unknown type of storage": {"singleuser": {"storage": {"type": "shared"}}},
    "options of no class": {"hub": {"config": {"authenticator": {"allow_all": True}}}},
    "half a name of an image": {"singleuser": {"image": {"name": "example/atm", "tag": None}}},
}


def example_classes() -> list[Classroom]:
    files = [(str(path), path.read_bytes()) for path in sorted(FOLDER.glob("*.yaml"))]
    return list(read_classrooms(files, lambda name: Path(name).read_bytes()).values)


def test_there_are_example_classes() -> None:
    assert len(example_classes()) > 4


@pytest.mark.parametrize("classroom", example_classes(), ids=lambda classroom: classroom.name)
def test_every_example_class_can_be_rendered(classroom: Classroom) -> None:
    values = values_of(Given(classroom, f"{classroom.name}-000000"))
    objects = {(body["kind"], body["metadata"]["name"]) for body in hub_chart.template(values)}
    deployments = {("Deployment", "hub"), ("Deployment", "proxy")}
    services = {("Service", "hub"), ("Service", "proxy-api"), ("Service", "proxy-public")}
    assert objects >= deployments | services | {("PersistentVolumeClaim", "hub-db-dir"), ("Secret", "hub")}


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_wrong_values_are_refused(wrong: dict[str, Any]) -> None:
    good = values_of(Given(example_classes()[0], "atm101-000000"))
    with pytest.raises(HelmFailed, match="values don't meet the specifications of the schema"):
        hub_chart.template(good, wrong)


def test_a_token_that_is_given_is_the_one_and_another_is_drawn() -> None:
    good = values_of(Given(example_classes()[0], "atm101-000000"))
    given = {"hub": {"services": {"hubfed": {"apiToken": "given"}, "grader": {}}}}
    objects = hub_chart.template(good, given)
    [secret] = [body["data"] for body in objects if (body["kind"], body["metadata"]["name"]) == ("Secret", "hub")]
    assert base64.b64decode(secret["hub.services.hubfed.apiToken"]) == b"given"
    assert re.fullmatch(rb"[0-9a-f]{64}", base64.b64decode(secret["hub.services.grader.apiToken"]))
