"""Ends hubs in a cluster: nothing of the hub may start any more, then each of its pods ends, as the API server sees it.

A call to the API server may take seconds, and the fencer must not wait for it: calls are made by threads, and `look` takes
the newest answer. What was handed to a thread and is late is not done any more: the hub may be permitted again by then.
Pods are told by their uid, and only namespaces that carry the site's label are looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.crew import Crew
from agents.drivers.kubernetes.marks import ALIVE, EDGE, HUB, SITE, edge_namespace, noted_replicas, part_of_hub
from agents.drivers.kubernetes.reach import Reach
from agents.drivers.stopper import Running, Unseen
from federation.core.fencing import Verdict
from federation.model.errors import DriverError

Object = dict[str, Any]
MS = 1_000_000
PRESS_NS = 200 * MS
WAIT_S = 0.25
GRACE_S = 1  # the least that tells whether a node has ended it
FEW = 4  # so many hubs are looked at one by one; more by one look at all pods
STALE_NS = 2_000 * MS  # an answer that lay around for longer says nothing of now
HUNG_NS = 10_000 * MS  # a look that takes so long is left to itself, and another one begun
VALID_NS = 1_500 * MS  # how long an order to end a hub is good; it is given again as long as something is seen
REFUSED_NS = 60_000 * MS  # how long a refusal counts after it was met
LOOKERS, ENDERS = 3, 8


@dataclass(frozen=True, slots=True)
class Pod:
    """`uid` tells it from a later one of its name."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Calls(Protocol):
    """Of `BlockingApi`, what is needed here."""

    def names(self, path: str, **query: str) -> list[Object]: ...

    def items(self, path: str) -> list[Object]: ...

    def merge(self, path: str, patch: Mapping[str, Any]) -> None: ...

    def delete(self, path: str, *, uid: str, grace_s: int) -> None: ...


class Remembered(Protocol):
    """Names of hubs that were armed when this machine ran last."""

    def names(self) -> frozenset[str] | None:
        """None: it is not known."""
        ...


@dataclass(frozen=True, slots=True)
class Look:
    """One under way, or done and not taken yet."""

    verdict: Verdict
    asked_ns: int
    answer: Future[Running[Pod]]

    def covers(self, verdict: Verdict) -> bool:
        """Whether it looks at all that is asked for."""
        same = (self.verdict.every_hub, self.verdict.edge_before) == (verdict.every_hub, verdict.edge_before)
        return same and verdict.hubs.keys() <= self.verdict.hubs.keys()


@dataclass(slots=True)
class Order:
    """To end a hub."""

    until_ns: int
    done: Future[None]


@dataclass(slots=True)
class KubernetesStopper:
    """The Stopper of one site with a cluster. Pods outlive the agent's host: after its boot only what was armed before
    ends, for what stood has no end, and what is armed anew is in the file."""

    site: str
    calls: Calls
    now_ns: Callable[[], int]
    armed: Remembered
    reach: Reach
    _looker: Crew = field(default_factory=lambda: Crew("look", LOOKERS))
    _ender: Crew = field(default_factory=lambda: Crew("end", ENDERS))
    _asked: Look | None = None
    _orders: dict[str, Order] = field(default_factory=dict)
    _refusals: dict[str, tuple[str, int]] = field(default_factory=dict)
    _edge: tuple[int, frozenset[str]] = (-1, frozenset())

    @property
    def press_ns(self) -> int:
        return PRESS_NS

    def trouble(self) -> str:
        """The cluster is not reached, or it refuses to end what must not run."""
        since = self.now_ns() - REFUSED_NS
        return self.reach.trouble() or next((why for why, at_ns in self._refusals.values() if at_ns > since), "")

    def look(self, verdict: Verdict) -> Running[Pod]:
        now, asked = self.now_ns(), self._asked
        if asked is not None:
            age_ns = now - asked.asked_ns
            unfit = asked.answer.done() and (age_ns > STALE_NS or not asked.covers(verdict))
            asked = None if unfit or age_ns > HUNG_NS else asked
        if asked is None:
            asked = self._asked = Look(verdict, now, self._looker.submit(lambda: self._look(verdict)))
        if not wait([asked.answer], WAIT_S).done:
            raise Unseen("the cluster's API server has not answered yet")
        self._asked = None
        error = asked.answer.exception()
        if error is not None:
            raise Unseen(error.message if isinstance(error, DriverError) else repr(error)) from error
        if not asked.covers(verdict):
            raise Unseen("what was looked at is not all that is asked for by now")
        return asked.answer.result()

    def kill(self, hub: str, seen: Sequence[Pod]) -> None:
        """One order at a time for each hub, good for a moment."""
        order = self._orders.get(hub)
        if order is not None and not order.done.done():
            order.until_ns = self.now_ns() + VALID_NS
            return
        if order is not None:
            self._note(hub, order.done)
        fresh = Order(self.now_ns() + VALID_NS, Future())
        self._orders[hub] = fresh
        fresh.done = self._ender.submit(lambda: self._end(hub, tuple(seen), fresh))

    def _note(self, hub: str, done: Future[None]) -> None:
        """What a refused order says is the site's trouble until one of the hub is carried out, or for a while."""
        error = done.exception()
        if error is None:
            self._refusals.pop(hub, None)
        else:
            said = error.message if isinstance(error, DriverError) else repr(error)
            self._refusals[hub] = said, self.now_ns()

    # --- what threads do ---

    def _look(self, verdict: Verdict) -> Running[Pod]:
        wanted = verdict.hubs.keys() if not verdict.every_hub else self.armed.names()
        ours = self._hubs()
        hubs = ours if wanted is None else ours & wanted
        if len(hubs) <= FEW:
            found = [pod for hub in sorted(hubs) for pod in self._pods(paths.pods(hub))]
        else:
            found = [pod for pod in self._pods(paths.ALL_PODS) if pod.namespace in hubs]
        by_hub: dict[str, list[Pod]] = {}
        for pod in found:
            by_hub.setdefault(pod.namespace, []).append(pod)
        return Running(by_hub, self._edge_of(verdict))

    def _edge_of(self, verdict: Verdict) -> Sequence[Pod]:
        """Edges that were there when all leases had lapsed. A cluster's clock is not this machine's, so those are taken
        that the first look after that moment finds: one that was started since may be among them, and ends for nothing."""
        if verdict.edge_before is None:
            return ()
        here = self._pods(paths.pods(edge_namespace(self.site)), labelSelector=f"{EDGE}={self.site}")
        before, old = self._edge
        if before != verdict.edge_before:
            old = frozenset(pod.uid for pod in here)
            self._edge = (verdict.edge_before, old)
        return [pod for pod in here if pod.uid in old]

    def _hubs(self) -> set[str]:
        found = self.calls.names(paths.NAMESPACES, labelSelector=f"{SITE}={self.site},{HUB}")
        return {str(one["name"]) for one in found}

    def _pods(self, path: str, **query: str) -> list[Pod]:
        found = self.calls.names(path, fieldSelector=ALIVE, **query)
        return [Pod(str(one["namespace"]), str(one["name"]), str(one["uid"])) for one in found if part_of_hub(one)]

    def _end(self, hub: str, seen: Sequence[Pod], order: Order) -> None:
        steps = self._scaling_down(hub) if hub else []  # an edge comes again, and is closed
        steps += [partial(self._delete, pod) for pod in seen]
        for step in steps:
            if self.now_ns() > order.until_ns:
                return
            step()

    def _scaling_down(self, hub: str) -> list[Callable[[], None]]:
        """Of workloads as they were seen: one that somebody has changed since is left for the next look."""
        return [
            partial(self.calls.merge, f"{kind}/{one['metadata']['name']}", _to_nothing(one))
            for kind in (paths.deployments(hub), paths.stateful_sets(hub))
            for one in self.calls.items(kind)
            if one["spec"].get("replicas", 1)
        ]

    def _delete(self, pod: Pod) -> None:
        self.calls.delete(f"{paths.pods(pod.namespace)}/{pod.name}", uid=pod.uid, grace_s=GRACE_S)


def _to_nothing(workload: Object) -> Object:
    patch = dict(noted_replicas(workload))
    version = {"resourceVersion": workload["metadata"]["resourceVersion"]}
    return {**patch, "metadata": {**patch["metadata"], **version}}
