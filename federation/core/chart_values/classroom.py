"""Rows of our chart `classroom`: what surrounds a hub in its namespace. Bounds, defaults, who reaches whom, who is evicted.

A bound must never be met by a class that does what classes do, or a lesson ends at it. So each is far above the largest
honest number, and says which that is; what cannot be known (how many nodes there are) is not bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, collapse_addresses, ip_address, ip_network
from math import ceil

from federation.core.chart_values.row import Given, Row, Value, row

PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "198.18.0.0/15")
"""Of clusters, clouds and campuses, with the metadata address: what students' servers have no business with."""
LABEL_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(rf"({LABEL_NAME.pattern})?")
LABEL_PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
RESERVED = ("hubfed.io", "kubernetes.io", "k8s.io", "helm.sh", "jupyter.org")
SERVERS_OVER, OTHER_PODS = 2, 20
PEOPLE_OVER, MORE_PEOPLE = 4, 100
SETS_AHEAD, OTHER_CLAIMS = 4, 20
GIB = 1 << 30
LEAST_LIMIT_GIB, LIMIT_OVER = 8, 2
STORE_OF_BUCKETS = "s3:"


def servers_most(given: Given) -> int | None:
    """Pods of the class's own priority: students' servers, the hub, its proxy. Twice what the hub lets run: a hub that has
    lost its database counts from nothing, while all that ran before runs on. Pods that keep room, pull images (two on
    each node) or copy homes are of another priority, and not counted. None: the hub bounds nothing itself, or nobody knows
    the priority's name."""
    limit = _said(given, "hub", "activeServerLimit")
    known = priority_class(given) is not None and isinstance(limit, int) and limit > 0
    return SERVERS_OVER * limit + OTHER_PODS if known else None


def priority_class(given: Given) -> str | None:
    """As the upstream chart names it; None: it has none, or the class has it named otherwise."""
    has = _said(given, "scheduling", "podPriority", "enabled") and _said(given, "fullnameOverride") in (None, "")
    return f"{given.hub}-default-priority" if has else None


def claims_most(given: Given) -> int:
    """Volume claims: a home for everybody who ever signed in, in as many sets as there were restores, for none is deleted
    by itself. Instructors add names, and whoever mistypes one in a workshop has another home: so four times the class, and
    a hundred. A restore comes before the start that raises this, and one that failed left its set: so four sets ahead."""
    roster = given.spec.roster
    people = PEOPLE_OVER * roster.expected + len(roster.admins) + MORE_PEOPLE
    return people * (given.homes + 1 + SETS_AHEAD) + len(given.spec.storage.shared) + OTHER_CLAIMS


def memory_limit(given: Given) -> str:
    """Of a container that names none. Hub and proxy are among these, so it is more than they ever need, and never less than
    what somebody asks for: a request above it would be refused."""
    resources, cars = given.spec.resources, given.spec.image.sidecars
    sizes = [
        resources.memory,
        *(p.memory for p in resources.profiles if p.memory is not None),
        *(c.memory for c in cars),
    ]
    largest = max(size.limit.bytes for size in sizes)
    return f"{max(LEAST_LIMIT_GIB, ceil(LIMIT_OVER * largest / GIB))}Gi"


def accounting_labels(given: Given) -> Value:
    """The admin's own marks, those that are labels in a cluster too. Ours and those of Kubernetes are nobody's to set."""
    return {key: value for key, value in sorted(given.classroom.labels.items()) if _is_label(key, value)} or None


def agent_networks(given: Given) -> list[str]:
    """From where the agent, and an edge beside it, come to hubs. Empty: it is no address."""
    if given.site.agent_networks:
        return list(given.site.agent_networks)
    address = _address(given)
    return [str(ip_network(address))] if address else []


def agent_namespace(given: Given) -> str:
    """Where the edge asks a Service (`NAME.NAMESPACE.svc`) the agent is a pod of that namespace. Empty: it is none."""
    parts = _host(given).split(".")
    return parts[1] if parts[2:3] == ["svc"] else ""


def agent_anywhere(given: Given) -> bool:
    """Nobody knows where it comes from: hub and proxy are open to all who get there, as upstream's proxy is."""
    return not agent_networks(given) and not agent_namespace(given)


def closed(given: Given) -> list[str]:
    """What of the internet is not for students' servers. The agent's desk is, wherever it is."""
    named = [*PRIVATE, *given.site.closed, *agent_networks(given), *([a] if (a := _address(given)) else [])]
    return [str(network) for network in collapse_addresses(_of_version_4(named))]


def _of_version_4(networks: Iterable[str]) -> list[IPv4Network]:
    return [found for one in networks if isinstance(found := ip_network(one), IPv4Network)]


def _host(given: Given) -> str:
    return given.site.edge_address.rpartition(":")[0].strip("[]")


def _address(given: Given) -> str:
    """The host of the agent's desk, if it is an address; empty: it is a name, or there is none."""
    try:
        return str(ip_address(_host(given)))
    except ValueError:
        return ""


def _is_label(key: str, value: str) -> bool:
    prefix, slash, name = key.rpartition("/")
    ours = any(prefix == one or prefix.endswith(f".{one}") for one in RESERVED)
    fits = LABEL_PREFIX.fullmatch(prefix) is not None and len(prefix) <= 253 if slash else True  # noqa: PLR2004 - of DNS
    return fits and not ours and bool(LABEL_NAME.fullmatch(name)) and bool(LABEL_VALUE.fullmatch(value))


def _said(given: Given, *path: str) -> Value:
    found: Value = given.values
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found


ROWS: tuple[Row, ...] = (
    row("(site)", "site", lambda g: g.site.name),
    row("(hubfed)", "hub", lambda g: g.hub),
    row("metadata.name", "classroom", lambda g: g.classroom.name),
    row("metadata.labels", "labels", accounting_labels),
    row("limits.active_servers", "quota/servers/most", servers_most),
    row("(hubfed)", "quota/servers/priorityClass", lambda g: priority_class(g) if servers_most(g) else None),
    row("roster.expected", "quota/claims", claims_most),
    row("resources.memory.limit", "memoryLimit", memory_limit),
    row("(site)", "agent/networks", lambda g: agent_networks(g) or None),
    row("(site)", "agent/namespace", lambda g: agent_namespace(g) or None),
    row("(site)", "agent/anywhere", agent_anywhere),
    row("(site)", "students/closed", closed),
    row("(site)", "copies/reachOut", lambda g: g.site.store.startswith(STORE_OF_BUCKETS)),
)
