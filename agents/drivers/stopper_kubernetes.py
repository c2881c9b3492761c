"""Ends hubs in a cluster: nothing of the hub may start any more, then each of its pods ends, as the API server sees it.

A call to the API server may take seconds, and the fencer must not wait for it: calls are made by threads, and `look` gives
the newest answer that was asked for after the last one. A pod is off the list only when its node says that it has ended, so
what runs on a node that does not answer is never taken for gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import dataclass, field
from typing import Any, Protocol

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.marks import ALIVE, EDGE, HUB, SITE, edge_namespace, noted_replicas
from agents.drivers.stopper import Running, Unseen
from federation.core.fencing import Verdict
from federation.model.errors import DriverError
from federation.runtime.process_table import HUB_NAME

Object = dict[str, Any]
MS = 1_000_000
PRESS_NS = 300 * MS
WAIT_S = 0.25
GRACE_S = 1  # the least that tells whether a node has ended it
FEW = 4  # so many hubs are looked at one by one; more by one look at all pods
PROBE_NS = 5_000 * MS  # how often it is tried whether the cluster answers
AGAIN_NS = 1_000 * MS  # and if it did not
BAD_NS = 5_000 * MS  # how long it has to be so before it is said: a moment of silence is no reason to disarm
THREADS = 4
UNTRIED = "it has not reached the cluster yet"


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

    def delete(self, path: str, *, grace_s: int) -> None: ...


@dataclass(slots=True)
class _Asked:
    """A look under way."""

    verdict: Verdict
    answer: Future[Running[Pod]]

    def covers(self, verdict: Verdict) -> bool:
        same_edge = self.verdict.edge_before == verdict.edge_before
        return (
            verdict.hubs.keys() <= self.verdict.hubs.keys()
            and self.verdict.every_hub == verdict.every_hub
            and same_edge
        )


@dataclass(slots=True)
class KubernetesStopper:
    """The Stopper of one site with a cluster."""

    site: str
    calls: Calls
    now_ns: Callable[[], int]
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, thread_name_prefix="cluster"))
    _asked: _Asked | None = None
    _ending: dict[str, Future[None]] = field(default_factory=dict)
    _probe: Future[None] | None = None
    _probed_ns: int = 0
    _bad_since_ns: int | None = None
    _why: str = UNTRIED
    _reached: bool = False
    _edge: tuple[int, frozenset[str]] = (-1, frozenset())

    @property
    def press_ns(self) -> int:
        return PRESS_NS

    def trouble(self) -> str:
        """Tried every few seconds, whatever else is asked."""
        now = self.now_ns()
        if self._probe is not None and self._probe.done():
            self._note(self._probe, now)
            self._probe = None
        well = self._reached and self._bad_since_ns is None
        if self._probe is None and now - self._probed_ns >= (PROBE_NS if well else AGAIN_NS):
            self._probed_ns = now
            self._probe = self._pool.submit(self._try)
        if not self._reached:
            return self._why
        waits = self._probe is not None and now - self._probed_ns > BAD_NS
        lasting = self._bad_since_ns is not None and now - self._bad_since_ns >= BAD_NS
        return self._why if lasting else "the cluster's API server does not answer" if waits else ""

    def look(self, verdict: Verdict) -> Running[Pod]:
        asked = self._asked
        if asked is None or not asked.covers(verdict):
            asked = self._asked = _Asked(verdict, self._pool.submit(self._look, verdict))
        try:
            found = asked.answer.result(WAIT_S)
        except Late:
            raise Unseen("the cluster's API server has not answered yet") from None
        except DriverError as error:
            self._asked = None
            raise Unseen(error.message) from error
        self._asked = None
        return found

    def kill(self, hub: str, seen: Sequence[Pod]) -> None:
        """One at a time for each hub; it is asked for again as long as something is seen."""
        under_way = self._ending.get(hub)
        if under_way is None or under_way.done():
            self._ending[hub] = self._pool.submit(self._end, hub, tuple(seen))

    # --- what threads do ---

    def _look(self, verdict: Verdict) -> Running[Pod]:
        hubs = set(self._hubs()) if verdict.every_hub else {hub for hub in verdict.hubs if HUB_NAME.fullmatch(hub)}
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
        here = self._pods(paths.pods(edge_namespace(self.site)), labelSelector=EDGE)
        before, old = self._edge
        if before != verdict.edge_before:
            old = frozenset(pod.uid for pod in here)
            self._edge = (verdict.edge_before, old)
        return [pod for pod in here if pod.uid in old]

    def _hubs(self) -> list[str]:
        found = self.calls.names(paths.NAMESPACES, labelSelector=f"{SITE}={self.site},{HUB}")
        return [str(one["name"]) for one in found]

    def _pods(self, path: str, **query: str) -> list[Pod]:
        found = self.calls.names(path, fieldSelector=ALIVE, **query)
        return [Pod(str(one["namespace"]), str(one["name"]), str(one["uid"])) for one in found]

    def _end(self, hub: str, seen: Sequence[Pod]) -> None:
        if hub:  # an edge comes again, and is closed
            self._scale_down(hub)
        for pod in seen:
            self.calls.delete(f"{paths.pods(pod.namespace)}/{pod.name}", grace_s=GRACE_S)

    def _scale_down(self, hub: str) -> None:
        for kind in (paths.deployments(hub), paths.stateful_sets(hub)):
            for workload in self.calls.items(kind):
                if workload["spec"].get("replicas", 1):
                    self.calls.merge(f"{kind}/{workload['metadata']['name']}", noted_replicas(workload))

    def _try(self) -> None:
        """What ending a hub begins with."""
        self.calls.names(paths.NAMESPACES, labelSelector=f"{SITE}={self.site},{HUB}")

    def _note(self, probe: Future[None], now: int) -> None:
        error = probe.exception()
        if error is None:
            self._reached, self._bad_since_ns = True, None
            return
        self._why = error.message if isinstance(error, DriverError) else repr(error)
        self._bad_since_ns = self._bad_since_ns if self._bad_since_ns is not None else now
