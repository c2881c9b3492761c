"""How a fencer asks a cluster without waiting for it. That pods end is seen on a real one (tests/e2e/kubernetes)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.drivers.kubernetes.marks import REPLICAS
from agents.drivers.stopper import Unseen
from agents.drivers.stopper_kubernetes import BAD_NS, PROBE_NS, UNTRIED, KubernetesStopper, Pod
from federation.core.fencing import Verdict
from federation.model.errors import DriverError

EDGE = "/api/v1/namespaces/hubfed-iu/pods"
Object = dict[str, Any]


@dataclass
class Cluster:
    """Its answers: `pods` by namespace. While `held` nobody is answered; `down`: why all fails."""

    pods: dict[str, list[str]] = field(default_factory=dict)
    down: str = ""
    held: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    changed: list[tuple[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.held.set()

    def names(self, path: str, **query: str) -> list[Object]:
        self._answer(path)
        if path.endswith("/namespaces"):
            return [{"name": name} for name in self.pods if not name.startswith("hubfed-")]
        one = path.removeprefix("/api/v1/namespaces/").removesuffix("/pods")
        wanted = [one] if one in self.pods else [] if "namespaces" in path else list(self.pods)
        return [{"namespace": ns, "name": pod, "uid": f"uid-{pod}"} for ns in wanted for pod in self.pods[ns]]

    def items(self, path: str) -> list[Object]:
        self._answer(path)
        return [{"metadata": {"name": "hub"}, "spec": {"replicas": 3}}] if path.endswith("deployments") else []

    def merge(self, path: str, patch: Mapping[str, Any]) -> None:
        self._answer(path)
        self.changed.append((path, patch))

    def delete(self, path: str, *, grace_s: int) -> None:
        self._answer(path)
        self.changed.append((path, grace_s))

    def _answer(self, path: str) -> None:
        self.held.wait(10)
        self.asked.append(path)
        if self.down:
            raise DriverError(self.down)


@dataclass
class Bench:
    cluster: Cluster
    now: int = 10**12
    stopper: KubernetesStopper = field(init=False)

    def __post_init__(self) -> None:
        self.stopper = KubernetesStopper("iu", self.cluster, lambda: self.now)

    def settled(self) -> str:
        """What it says of itself after whatever it tries has ended."""
        self.stopper.trouble()
        self.stopper._pool.submit(lambda: None).result(10)
        while self.stopper._probe is not None and not self.stopper._probe.done():
            threading.Event().wait(0.01)
        return self.stopper.trouble()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench(Cluster({"a-1": ["hub", "jupyter-s01"], "b-2": ["hub"], "hubfed-iu": ["edge-old"]}))
    yield made
    made.cluster.held.set()
    made.stopper._pool.shutdown()


def lapsed(*hubs: str, edge_before: int | None = None) -> Verdict:
    return Verdict(dict.fromkeys(hubs, (1, 1)), edge_before=edge_before)


def test_pods_of_the_hubs_that_must_not_run_are_seen_and_no_others(bench: Bench) -> None:
    seen = bench.stopper.look(lapsed("a-1", "c-3", "../secrets"))
    assert {hub: [str(pod) for pod in pods] for hub, pods in seen.hubs.items()} == {
        "a-1": ["a-1/hub", "a-1/jupyter-s01"]
    }
    assert seen.edge == ()
    assert not any("secrets" in path for path in bench.cluster.asked)


def test_many_hubs_are_looked_for_at_once(bench: Bench) -> None:
    seen = bench.stopper.look(lapsed("a-1", "b-2", *(f"x-{n}" for n in range(50))))
    assert seen.hubs.keys() == {"a-1", "b-2"}
    assert bench.cluster.asked == ["/api/v1/pods"]


def test_where_nothing_is_known_every_hub_of_the_site_is_looked_for(bench: Bench) -> None:
    assert bench.stopper.look(Verdict(every_hub=True)).hubs.keys() == {"a-1", "b-2"}


def test_nothing_may_start_any_more_and_then_each_pod_ends_with_a_moment_of_grace(bench: Bench) -> None:
    seen = bench.stopper.look(lapsed("a-1"))
    bench.stopper.kill("a-1", seen.hubs["a-1"])
    bench.stopper._ending["a-1"].result(10)
    (first, patch), *rest = bench.cluster.changed
    assert first == "/apis/apps/v1/namespaces/a-1/deployments/hub"
    assert patch == {"metadata": {"annotations": {REPLICAS: "3"}}, "spec": {"replicas": 0}}
    pods = "/api/v1/namespaces/a-1/pods"
    assert rest == [(f"{pods}/hub", 1), (f"{pods}/jupyter-s01", 1)]


def test_a_look_never_waits_long_and_its_answer_is_taken_when_it_comes(bench: Bench) -> None:
    bench.cluster.held.clear()
    for _ in range(2):
        with pytest.raises(Unseen):
            bench.stopper.look(lapsed("a-1"))
    bench.cluster.held.set()
    assert bench.stopper.look(lapsed("a-1")).hubs.keys() == {"a-1"}
    assert len(bench.cluster.asked) == 1, "one question, however often it was waited for"


def test_an_answer_that_knows_nothing_of_a_newer_lapse_is_not_taken(bench: Bench) -> None:
    bench.cluster.held.clear()
    with pytest.raises(Unseen):
        bench.stopper.look(lapsed("a-1"))
    bench.cluster.held.set()
    assert bench.stopper.look(lapsed("a-1", "b-2")).hubs.keys() == {"a-1", "b-2"}


def test_a_refusal_is_said_and_asked_again(bench: Bench) -> None:
    bench.cluster.down = "the agent may not"
    with pytest.raises(Unseen, match="the agent may not"):
        bench.stopper.look(lapsed("a-1"))
    bench.cluster.down = ""
    assert bench.stopper.look(lapsed("a-1")).hubs.keys() == {"a-1"}


def test_an_edge_is_ended_if_it_was_there_when_all_was_over_and_not_the_one_that_came_after(bench: Bench) -> None:
    assert [str(pod) for pod in bench.stopper.look(lapsed("a-1", edge_before=5)).edge] == ["hubfed-iu/edge-old"]
    bench.cluster.pods["hubfed-iu"] = ["edge-new"]
    assert bench.stopper.look(lapsed("a-1", edge_before=5)).edge == []
    again = bench.stopper.look(lapsed("a-1", edge_before=9)).edge
    assert [str(pod) for pod in again] == ["hubfed-iu/edge-new"], "another lapse"
    bench.stopper.kill("", again)
    bench.stopper._ending[""].result(10)
    assert bench.cluster.changed == [(f"{EDGE}/edge-new", 1)], "and it comes again by itself"


def test_trouble_is_said_once_it_lasts_and_is_over_as_soon_as_it_is(bench: Bench) -> None:
    assert bench.stopper.trouble() == UNTRIED
    assert bench.settled() == ""
    bench.cluster.down = "nobody answers"
    bench.now += PROBE_NS
    assert bench.settled() == "", "a moment is no reason to disarm"
    bench.now += BAD_NS
    assert bench.settled() == "nobody answers"
    bench.cluster.down = ""
    bench.now += PROBE_NS
    assert bench.settled() == ""


def test_a_cluster_that_hangs_is_trouble_too(bench: Bench) -> None:
    assert bench.settled() == ""
    bench.cluster.held.clear()
    bench.now += PROBE_NS
    assert bench.stopper.trouble() == ""
    bench.now += BAD_NS + 1
    assert bench.stopper.trouble() == "the cluster's API server does not answer"


def test_one_ending_of_a_hub_at_a_time(bench: Bench) -> None:
    seen = [Pod("a-1", "hub", "uid-hub")]
    bench.cluster.held.clear()
    for _ in range(5):
        bench.stopper.kill("a-1", seen)
    bench.cluster.held.set()
    bench.stopper._ending["a-1"].result(10)
    assert len(bench.cluster.changed) == 2
