"""The hub's chart on a real cluster: a class is installed with Helm, students work, and it is upgraded under them."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from federation.core.chart_values.row import Given, SitePart
from federation.core.chart_values.table import merged, values_of
from federation.runtime.student import Student
from tests.e2e.kubernetes.conftest import Sites, new_namespace
from tests.support.classrooms import classroom
from tests.support.federation import until
from tests.testbed import hub_chart, jupyter_images
from tests.testbed.api import Object
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster
from tests.testbed.images import SANDBOX

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]  # images of a class take minutes once


def seat(memory: str, memory_limit: str, cpu: float, cpu_limit: float) -> dict[str, Any]:
    """A size."""
    return {"memory": {"guarantee": memory, "limit": memory_limit}, "cpu": {"guarantee": cpu, "limit": cpu_limit}}


RELEASE, HUB = "least-000000", "least-000000"
PASSWORD = "one for the class"
SERVES_S, STARTS_S, STOPS_S = 300.0, 300.0, 120.0  # 10, 5 and 4 on a quiet machine
T = TypeVar("T")
TESTBED = SitePart(pull_images=False, block_metadata=False)
CLASS = classroom(
    "least",
    roster={"expected": 3, "admins": ["ann"], "users": ["s01", "s02", "s03"]},
    resources=seat("256M", "1G", 0.1, 2),
    image={
        "name": "example/least",
        "tag": "2026-08-17",
        "sidecars": [{"name": "beside", "image": SANDBOX, **seat("16M", "64M", 0.01, 1)}],
        "profiles_env": {"COURSE": "ATM 101"},
    },
    post_start=["echo $COURSE > $HOME/prepared.txt"],
)
VALUES = merged(values_of(Given(CLASS, HUB, TESTBED)), hub_chart.values_here())
SECRETS = {"hub": {"config": {"DummyAuthenticator": {"password": PASSWORD}}}}


@dataclass(frozen=True, slots=True)
class Class:
    """An installed one."""

    sites: Sites
    namespace: str

    @property
    def cluster(self) -> Cluster:
        return self.sites.iu

    def objects(self, kind: str, group: str = "api/v1") -> str:
        return f"/{group}/namespaces/{self.namespace}/{kind}"

    def get(self, kind: str, name: str, group: str = "api/v1") -> Object:
        return self.cluster.api.get(f"{self.objects(kind, group)}/{name}")

    def address(self, service: str) -> str:
        return str(self.get("services", service)["spec"]["clusterIP"])

    def secrets(self) -> dict[str, str]:
        """What the chart has drawn."""
        data = self.get("secrets", "hub")["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items() if key != "values.yaml"}

    def install(self, *more: dict[str, Any]) -> None:
        hub_chart.install(self.cluster, self.namespace, RELEASE, VALUES, SECRETS, *more)
        until(self.serves, "the hub serves, and nothing of an older one is left", SERVES_S, self.pods_say)

    def serves(self) -> bool:
        return all(self._rolled_out(name) for name in ("hub", "proxy")) and self._answers("/hub/health")

    def _rolled_out(self, name: str) -> bool:
        found = self.get("deployments", name, "apis/apps/v1")
        wanted, status = found["metadata"]["generation"], found["status"]
        counts = [status.get(count) for count in ("replicas", "updatedReplicas", "readyReplicas")]
        return status.get("observedGeneration") == wanted and counts == [1, 1, 1]

    def _answers(self, path: str) -> bool:
        with suppress(OSError, http.client.HTTPException):
            return self.asks("proxy-public", 80, path)[0] == 200
        return False

    def asks(self, service: str, port: int, path: str, token: str = "") -> tuple[int, bytes]:
        """From the site's host."""
        connection = http.client.HTTPConnection(self.address(service), port, timeout=20)
        try:
            with self.sites.net.inside("iu"):
                connection.connect()
            connection.request("GET", path, headers={"Authorization": f"token {token}"} if token else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def pod_of(self, student: str) -> Object:
        label = f"component=singleuser-server,hub.jupyter.org/username={student}"
        [pod] = self.cluster.api.items(self.objects("pods"), labelSelector=label)
        return pod

    def pods_say(self) -> str:
        said = []
        for pod in self.cluster.api.items(self.objects("pods")):
            said.append(json.dumps({"name": pod["metadata"]["name"], **pod["status"]}))
            with suppress(Exception):
                said.append(
                    self.cluster.api.text(f"{self.objects('pods')}/{pod['metadata']['name']}/log", tailLines="30")
                )
        return "\n".join(said)

    def run(self, story: Coroutine[Any, Any, T]) -> T:
        """On the site's host, where addresses of services lead somewhere."""
        with self.sites.net.inside("iu"):
            return asyncio.run(story)

    @asynccontextmanager
    async def student(self, name: str) -> AsyncIterator[Student]:
        """Who has signed in."""
        host = CLASS.spec.dns.host
        async with Student(f"http://{self.address('proxy-public')}/", host, name) as student:
            assert await student.sign_in(PASSWORD) == 200
            yield student


@pytest.fixture(scope="module")
def hub(sites: Sites) -> Iterator[Class]:
    assert sites.iu.node is not None
    sites.iu.node.add_images(jupyter_images.jupyter())
    made = Class(sites, new_namespace(sites.iu.api))
    made.install()
    yield made
    hub_chart.uninstall(made.cluster, made.namespace, RELEASE)
    made.cluster.api.delete(f"/api/v1/namespaces/{made.namespace}")  # students' servers and homes with it


def test_who_does_not_know_the_password_is_not_let_in(hub: Class) -> None:
    async def story() -> int:
        async with Student(f"http://{hub.address('proxy-public')}/", CLASS.spec.dns.host, "s01") as stranger:
            return await stranger.sign_in("a guess")

    assert hub.run(story()) == 403


def test_what_a_student_wrote_is_there_when_the_server_is_started_again(hub: Class) -> None:
    async def story() -> str:
        async with hub.student("s01") as student:
            await student.start_server(STARTS_S)
            await student.save("notes.txt", "measured at noon")
            await student.stop_server(STOPS_S)
            await student.start_server(STARTS_S)
            return await student.read("notes.txt")

    assert hub.run(story()) == "measured at noon"
    claim = hub.get("persistentvolumeclaims", "claim-s01")
    assert claim["metadata"]["labels"]["hubfed.io/hub"] == HUB
    assert claim["spec"]["resources"]["requests"]["storage"] == str(CLASS.spec.storage.capacity)


def test_each_student_has_a_server_with_what_the_class_is_guaranteed(hub: Class) -> None:
    async def story() -> str:
        async with hub.student("s02") as student:
            await student.start_server(STARTS_S)
            return await student.read("prepared.txt")

    assert hub.run(story()) == "ATM 101\n", "the class's own lines have run, with its environment"
    pod = hub.pod_of("s02")
    assert pod["metadata"]["name"] == "jupyter-s02"
    assert pod["metadata"]["labels"]["hubfed.io/hub"] == HUB
    notebook, beside = pod["spec"]["containers"]
    assert notebook["resources"]["limits"]["memory"] == str(1 << 30)
    assert notebook["resources"]["requests"] == {"cpu": "100m", "memory": str(256 << 20)}
    assert beside["image"] == SANDBOX
    assert pod["status"]["phase"] == "Running"


def test_the_token_that_the_chart_drew_lists_the_users(hub: Class) -> None:
    token = hub.secrets()["hub.services.hubfed.apiToken"]
    status, said = hub.asks("hub", 8081, "/hub/api/users", token)
    assert status == 200, said
    assert {"ann", "s01", "s02", "s03"} <= {user["name"] for user in json.loads(said)}
    assert hub.asks("hub", 8081, "/hub/api/users", "another")[0] == 403


def test_an_upgrade_leaves_secrets_the_database_and_running_servers_as_they_are(hub: Class) -> None:
    """The student neither signs in again nor notices more than that the proxy was away."""

    async def story() -> None:
        async with hub.student("s03") as student:
            await student.start_server(STARTS_S)
            await student.save("notes.txt", "before the upgrade")
            before = hub.secrets(), database(), hub.pod_of("s03")["metadata"]["uid"]
            old = hub.get("deployments", "hub", "apis/apps/v1")
            await asyncio.to_thread(hub.install, {"singleuser": {"cpu": {"limit": 1.5}}})
            new = hub.get("deployments", "hub", "apis/apps/v1")
            assert new["metadata"]["generation"] > old["metadata"]["generation"], "the hub has read its settings again"
            assert (hub.secrets(), database(), hub.pod_of("s03")["metadata"]["uid"]) == before
            assert await student.read("notes.txt") == "before the upgrade"
            await student.stop_server(STOPS_S)
            await student.start_server(STARTS_S)  # who starts anew gets what the class has now

    def database() -> str:
        return str(hub.get("persistentvolumeclaims", "hub-db-dir")["spec"]["volumeName"])

    hub.run(story())
    notebook = hub.pod_of("s03")["spec"]["containers"][0]
    assert notebook["resources"]["limits"]["cpu"] == "1500m"
