"""Whether what a chart brought is up: its workloads, its definitions, and what its program makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api
from agents.drivers.kubernetes.release_records import RELEASE
from federation.model.upstream_charts import PinnedChart, ReadyWhen

Object = dict[str, Any]
DEFINITION = "CustomResourceDefinition"


async def unready(api: Api, chart: PinnedChart, definitions: Iterable[str] = ()) -> tuple[str, ...]:
    """What of the chart's release is not up yet, in words; nothing: all is. Errors are those of `Api`."""
    namespace = chart.namespace or ""
    found: list[str] = []
    for name in definitions:
        one = await api.get(f"{paths.DEFINITIONS}/{name}")
        if one is None or not _is_true(one, "Established"):
            found.append(f"{name} is not established")
    for kind, path in {
        "Deployment": paths.deployments(namespace),
        "StatefulSet": paths.stateful_sets(namespace),
        "DaemonSet": paths.daemon_sets(namespace),
    }.items():
        ours = [one for one in await api.items(path) if notes_of(one).get(RELEASE) == chart.name]
        found += filter(None, (lacks(kind, one) for one in ours))
    for wanted in chart.ready_when:
        said = value_at(await api.get(wanted.path), wanted)
        if said != wanted.value:
            found.append(
                f"{wanted.path.rpartition('/')[2]}: {wanted.field} is {said or 'not said'}, not {wanted.value}"
            )
    return tuple(found)


def notes_of(found: Object) -> Mapping[str, str]:
    """Its annotations."""
    return found["metadata"].get("annotations") or {}


def definitions_in(objects: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """The custom resource definitions of a rendered chart."""
    return tuple(one["metadata"]["name"] for one in objects if one.get("kind") == DEFINITION)


def lacks(kind: str, workload: Object) -> str:
    """Why it is not up; empty: it is, as its newest description says."""
    status, name = workload.get("status") or {}, workload["metadata"]["name"]
    if kind == "DaemonSet":
        wanted, updated = status.get("desiredNumberScheduled", 0), status.get("updatedNumberScheduled", 0)
        ready = status.get("numberReady", 0)
    else:
        wanted, updated = workload["spec"].get("replicas", 1), status.get("updatedReplicas", 0)
        ready = status.get("readyReplicas", 0)
    seen = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    if seen and updated == wanted and ready >= wanted:
        return ""
    why = next((str(one.get("message")) for one in _failing(status)), "")
    return f"{kind} {name}: {min(ready, updated)} of {wanted} are up{f' ({why})' if why else ''}"


def value_at(found: Object | None, wanted: ReadyWhen) -> str:
    """The field as text; empty if there is none."""
    value: Any = found
    for part in wanted.field.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return "" if value is None else str(value)


def _failing(status: Mapping[str, Any]) -> Iterable[Object]:
    bad = {"Available": "False", "Progressing": "False", "ReplicaFailure": "True"}
    return (one for one in status.get("conditions") or () if bad.get(one.get("type")) == one.get("status"))


def _is_true(found: Object, kind: str) -> bool:
    conditions = (found.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == kind and one.get("status") == "True" for one in conditions)
