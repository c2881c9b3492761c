"""How a fencer asks a cluster without waiting for it. That pods end is seen on a real one (tests/e2e/kubernetes)."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import Any

import pytest

from agents.drivers.kubernetes.marks import REPLICAS
from agents.drivers.kubernetes.reach import BAD_NS, EVERY_NS, SILENT, Reach
from agents.drivers.stopper import Unseen
from agents.drivers.stopper_kubernetes import STALE_NS, VALID_NS, KubernetesStopper
from federation.core.fencing import Verdict
from federation.model.errors import DriverError

EDGE = "/api/v1/namespaces/hubfed-iu/pods"
Object = dict[str, Any]


@dataclass
class Cluster:
    """Its answers: `pods` by namespace. While `held` is not set nobody is answered; `down`: why all fails, `refuses`: why
    every change does."""

    pods: dict[str, list[str]] = field(default_factory=dict)
    down: str = ""
    refuses: str = ""
    held: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    changed: list[tuple[str, object]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.held.set()

    def names(self, path: str, **query: str) -> list[Object]:
        self._answer(path)
        if path.endswith("/namespaces"):
            return [{"name": name} for name in self.pods if name not in ("hubfed-iu", "of-others")]
        one = path.removeprefix("/api/v1/namespaces/").removesuffix("/pods")
        wanted = [one] if one in self.pods else [] if "namespaces" in path else list(self.pods)
        return [_pod(namespace, name) for namespace in wanted for name in self.pods[namespace]]

    def items(self, path: str) -> list[Object]:
        self._answer(path)
        deployment = {"metadata": {"name": "hub", "resourceVersion": "7"}, "spec": {"replicas": 3}}
        return [deployment] if path.endswith("deployments") else []

    def merge(self, path: str, patch: Mapping[str, Any]) -> None:
        self._answer(path)
        self._change(path, patch)

    def delete(self, path: str, *, uid: str, grace_s: int) -> None:
        self._answer(path)
        self._change(path, (uid, grace_s))

    def _change(self, path: str, how: object) -> None:
        if self.refuses:
            raise DriverError(self.refuses)
        self.changed.append((path, how))

    def _answer(self, path: str) -> None:
        self.held.wait(10)
        self.asked.append(path)
        if self.down:
            raise DriverError(self.down)


def _pod(namespace: str, name: str) -> Object:
    owners = [{"kind": "DaemonSet"}] if name.startswith("puller") else [{"kind": "ReplicaSet"}]
    return {"namespace": namespace, "name": name, "uid": f"uid-{name}", "ownerReferences": owners}


@dataclass
class Bench:
    cluster: Cluster
    now: int = 10**12
    armed: frozenset[str] | None = None
    stopper: KubernetesStopper = field(init=False)

    def __post_init__(self) -> None:
        self.reach = Reach(lambda: self.cluster.names("/api/v1/namespaces"), lambda: self.now)
        self.stopper = KubernetesStopper("iu", self.cluster, lambda: self.now, self, self.reach)

    def names(self) -> frozenset[str] | None:
        return self.armed

    def looked(self, verdict: Verdict) -> dict[str, list[str]]:
        found = self.stopper.look(verdict).hubs
        return {hub: [str(pod) for pod in pods] for hub, pods in found.items()}

    def ended(self, hub: str) -> None:
        """What was ordered was carried out, or not."""
        wait([self.stopper._orders[hub].done], 10)

    def tried(self) -> str:
        """What it says of itself after whatever it tries has ended."""
        self.stopper.trouble()
        if self.reach._under_way is not None:
            wait([self.reach._under_way], 10)
        return self.stopper.trouble()


@pytest.fixture
def bench() -> Iterator[Bench]:
    pods = {"a-1": ["hub", "jupyter-s01", "puller-x"], "b-2": ["hub"], "hubfed-iu": ["edge-old"], "of-others": ["web"]}
    made = Bench(Cluster(pods))
    yield made
    made.cluster.held.set()


def lapsed(*hubs: str, edge_before: int | None = None) -> Verdict:
    return Verdict(dict.fromkeys(hubs, (1, 1)), edge_before=edge_before)


def test_pods_of_the_hubs_that_must_not_run_are_seen_and_no_others(bench: Bench) -> None:
    """Neither those of another's namespace, whatever the lease file says, nor those that pull images ahead."""
    assert bench.looked(lapsed("a-1", "c-3", "of-others", "../secrets")) == {"a-1": ["a-1/hub", "a-1/jupyter-s01"]}
    assert not any("others" in path or "secrets" in path for path in bench.cluster.asked)


def test_many_hubs_are_looked_for_at_once(bench: Bench) -> None:
    for n in range(50):
        bench.cluster.pods[f"x-{n}"] = ["hub"]
    assert len(bench.looked(lapsed(*(f"x-{n}" for n in range(50))))) == 50
    assert bench.cluster.asked == ["/api/v1/namespaces", "/api/v1/pods"]


def test_where_nothing_is_known_every_hub_of_the_site_is_looked_for(bench: Bench) -> None:
    assert bench.looked(Verdict(every_hub=True)).keys() == {"a-1", "b-2"}


def test_after_a_boot_what_was_armed_ends_and_what_stood_does_not(bench: Bench) -> None:
    bench.armed = frozenset({"b-2", "gone-9"})
    assert bench.looked(Verdict(every_hub=True)).keys() == {"b-2"}


def test_nothing_may_start_any_more_and_then_each_pod_ends_with_a_moment_of_grace(bench: Bench) -> None:
    bench.stopper.kill("a-1", bench.stopper.look(lapsed("a-1")).hubs["a-1"])
    bench.ended("a-1")
    (first, patch), *rest = bench.cluster.changed
    assert first == "/apis/apps/v1/namespaces/a-1/deployments/hub"
    metadata = {"annotations": {REPLICAS: "3"}, "resourceVersion": "7"}
    assert patch == {"metadata": metadata, "spec": {"replicas": 0}}
    pods = "/api/v1/namespaces/a-1/pods"
    assert rest == [(f"{pods}/hub", ("uid-hub", 1)), (f"{pods}/jupyter-s01", ("uid-jupyter-s01", 1))]


def test_an_order_that_is_late_is_not_carried_out_for_the_hub_may_be_permitted_again(bench: Bench) -> None:
    seen = bench.stopper.look(lapsed("a-1")).hubs["a-1"]
    bench.cluster.held.clear()
    bench.stopper.kill("a-1", seen)
    bench.now += VALID_NS + 1
    bench.cluster.held.set()
    bench.ended("a-1")
    assert bench.cluster.changed == []


def test_one_order_for_a_hub_at_a_time_which_is_good_as_long_as_it_is_given_again(bench: Bench) -> None:
    seen = bench.stopper.look(lapsed("a-1")).hubs["a-1"]
    bench.cluster.held.clear()
    for _ in range(5):
        bench.stopper.kill("a-1", seen)
        bench.now += VALID_NS - 1
    bench.cluster.held.set()
    bench.ended("a-1")
    assert len(bench.cluster.changed) == 3


def test_a_look_never_waits_long_and_its_answer_is_taken_when_it_comes(bench: Bench) -> None:
    bench.cluster.held.clear()
    for _ in range(2):
        with pytest.raises(Unseen):
            bench.stopper.look(lapsed("a-1"))
    bench.cluster.held.set()
    assert bench.looked(lapsed("a-1")).keys() == {"a-1"}
    assert len(bench.cluster.asked) == 2, "one question, however often it was waited for"


def test_an_answer_that_knows_nothing_of_a_newer_lapse_is_not_taken(bench: Bench) -> None:
    bench.cluster.held.clear()
    with pytest.raises(Unseen):
        bench.stopper.look(lapsed("a-1"))
    with pytest.raises(Unseen):
        bench.stopper.look(lapsed("a-1", "b-2"))
    assert len(bench.cluster.asked) == 0
    bench.cluster.held.set()
    with pytest.raises(Unseen):
        bench.stopper.look(lapsed("a-1", "b-2"))
    assert bench.looked(lapsed("a-1", "b-2")).keys() == {"a-1", "b-2"}


def test_an_answer_that_lay_around_says_nothing_of_now(bench: Bench) -> None:
    bench.cluster.held.clear()
    with pytest.raises(Unseen):
        bench.stopper.look(lapsed("b-2"))
    bench.cluster.held.set()
    assert bench.stopper._asked is not None
    wait([bench.stopper._asked.answer], 10)
    bench.now += STALE_NS + 1
    bench.cluster.pods["b-2"] = []
    assert bench.looked(lapsed("b-2")) == {}


@pytest.mark.parametrize("error", [DriverError("the agent may not"), KeyError("metadata"), TimeoutError()])
def test_whatever_goes_wrong_in_a_thread_is_said_and_asked_again(
    bench: Bench, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: str, **query: str) -> list[Object]:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(bench.cluster, "names", fails)
        with pytest.raises(Unseen):
            bench.stopper.look(lapsed("a-1"))
    assert bench.looked(lapsed("a-1")).keys() == {"a-1"}


def test_an_edge_is_ended_if_it_was_there_when_all_was_over_and_not_the_one_that_came_after(bench: Bench) -> None:
    assert [str(pod) for pod in bench.stopper.look(lapsed("a-1", edge_before=5)).edge] == ["hubfed-iu/edge-old"]
    bench.cluster.pods["hubfed-iu"] = ["edge-new"]
    assert bench.stopper.look(lapsed("a-1", edge_before=5)).edge == []
    again = bench.stopper.look(lapsed("a-1", edge_before=9)).edge
    assert [str(pod) for pod in again] == ["hubfed-iu/edge-new"], "another lapse"
    bench.stopper.kill("", again)
    bench.ended("")
    assert bench.cluster.changed == [(f"{EDGE}/edge-new", ("uid-edge-new", 1))], "and it comes again by itself"


def test_trouble_is_said_once_it_lasts_and_is_over_as_soon_as_it_is(bench: Bench) -> None:
    assert bench.tried() == ""
    bench.cluster.down = "nobody answers"
    bench.now += EVERY_NS
    assert bench.tried() == "", "a moment is no reason to disarm"
    bench.now += BAD_NS
    assert bench.tried() == "nobody answers"
    bench.cluster.down = ""
    bench.now += EVERY_NS
    assert bench.tried() == ""


def test_a_cluster_that_hangs_is_trouble_too(bench: Bench) -> None:
    assert bench.tried() == ""
    bench.cluster.held.clear()
    bench.now += EVERY_NS
    assert bench.stopper.trouble() == ""
    bench.now += BAD_NS + 1
    assert bench.stopper.trouble() == SILENT


def test_a_refusal_to_end_something_is_trouble_until_it_is_ended(bench: Bench) -> None:
    assert bench.tried() == ""
    seen = bench.stopper.look(lapsed("a-1")).hubs["a-1"]
    bench.cluster.refuses = "a webhook says no"
    for _ in range(2):
        bench.stopper.kill("a-1", seen)
        bench.ended("a-1")
    assert bench.stopper.trouble() == "a webhook says no"
    bench.cluster.refuses = ""
    for _ in range(2):
        bench.stopper.kill("a-1", seen)
        bench.ended("a-1")
    assert bench.stopper.trouble() == ""
