"""NetworkPolicies as rules of nftables, for a node that runs all pods of its cluster. Pure.

What passes is what some policy of each end allows: that of the sender on its way out, that of the receiver on its way in.
Who is selected by none is not restricted. The node's own connections to its pods are never filtered, as Kubernetes demands
of what keeps pods alive. IPv4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
TABLE = "network-policies"
ALIVE = ("Pending", "Running")
ESTABLISHED = "ct state established,related accept"


@dataclass(frozen=True, slots=True)
class Direction:
    """`key`: the field of a policy; `peers`: of its rules; `own` and `other`: which address of a packet is the pod's."""

    key: str
    kind: str
    peers: str
    own: str
    other: str


OUT = Direction("egress", "Egress", "to", "saddr", "daddr")
IN = Direction("ingress", "Ingress", "from", "daddr", "saddr")


@dataclass(frozen=True, slots=True)
class Seen:
    """Lists of the API server."""

    namespaces: list[Object]
    pods: list[Object]
    policies: list[Object]

    def labels_of(self, namespace: str) -> dict[str, str]:
        found = (n["metadata"].get("labels") or {} for n in self.namespaces if n["metadata"]["name"] == namespace)
        return next(found, {})

    def of_own_network(self) -> list[Object]:
        """Pods that have an address which is not their node's."""
        return [
            pod
            for pod in self.pods
            if pod["status"].get("podIP") and pod["status"].get("phase") in ALIVE and not pod["spec"].get("hostNetwork")
        ]


def ruleset(seen: Seen) -> str:
    """The whole table, to be loaded in one go."""
    pods = sorted(seen.of_own_network(), key=_address)
    chains: list[str] = []
    jumps: dict[str, list[str]] = {OUT.key: [], IN.key: []}
    for pod in pods:
        for way in (OUT, IN):
            policies = [one["spec"] for one in seen.policies if _restricts(one, pod, way)]
            if not policies:
                continue
            name = f"{way.key}-{_address(pod)}".replace(".", "-")
            allowed = sorted({rule for spec in policies for rule in _rules(spec, pod, way, seen, pods)})
            chains.append(f"chain {name} {{\n  " + "\n  ".join([*allowed, "drop"]) + "\n}")
            jumps[way.key].append(f"{_address(pod)} : jump {name}")
    leaving, arriving = (_dispatch(way, jumps[way.key]) for way in (OUT, IN))
    chains.append(_hook("forwarded", "forward", leaving, arriving))
    chains.append(_hook("to-the-node", "input", leaving))
    body = "\n".join(chains)
    return f"table ip {TABLE} {{}}\ndelete table ip {TABLE}\ntable ip {TABLE} {{\n{body}\n}}\n"


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """As Kubernetes has it; an empty selector selects everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(one, labels.get(one["key"])) for one in selector.get("matchExpressions") or [])


def _meets(expression: Object, value: str | None) -> bool:
    among = value in (expression.get("values") or [])
    return {
        "In": among,
        "NotIn": not among,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[expression["operator"]]


def _restricts(policy: Object, pod: Object, way: Direction) -> bool:
    spec = policy["spec"]
    kinds = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    same = policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
    return same and way.kind in kinds and selects(spec.get("podSelector") or {}, _labels(pod))


def _rules(spec: Object, pod: Object, way: Direction, seen: Seen, pods: list[Object]) -> Iterator[str]:
    """What one policy lets through for this pod: a packet that returns goes on to the rules of the other end."""
    for rule in spec.get(way.key) or []:
        given = rule.get(way.peers)
        for port in rule.get("ports") or [{}]:
            if not given:
                named = [pod] if way is IN else pods
                yield from (f"{match} return".strip() for match in _ports(port, named))
                continue
            for peer in given:
                yield from _from_peer(peer, port, pod, way, seen, pods)


def _from_peer(
    peer: Object, port: Object, pod: Object, way: Direction, seen: Seen, pods: list[Object]
) -> Iterator[str]:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        outside = block.get("except") or []
        but = f" ip {way.other} != {{ {', '.join(outside)} }}" if outside else ""
        for match in _ports(port, [pod] if way is IN else []):
            yield f"ip {way.other} {block['cidr']}{but} {match} return".replace("  ", " ")
        return
    for other in pods:
        if _is_peer(peer, other, pod["metadata"]["namespace"], seen):
            for match in _ports(port, [pod if way is IN else other]):
                yield f"ip {way.other} {_address(other)} {match} return".replace("  ", " ")


def _is_peer(peer: Object, other: Object, namespace: str, seen: Seen) -> bool:
    theirs = other["metadata"]["namespace"]
    if "namespaceSelector" in peer:
        if not selects(peer["namespaceSelector"], seen.labels_of(theirs)):
            return False
    elif theirs != namespace:
        return False
    return selects(peer.get("podSelector") or {}, _labels(other))


def _ports(port: Object, named_by: Iterable[Object]) -> Iterator[str]:
    """Conditions on the packet's port; nothing where a name is known to none of these pods."""
    protocol, number = port.get("protocol", "TCP").lower(), port.get("port")
    if not port:
        yield ""
    elif number is None:
        yield f"meta l4proto {protocol}"
    elif isinstance(number, int):
        last = f"-{port['endPort']}" if "endPort" in port else ""
        yield f"{protocol} dport {number}{last}"
    else:
        for pod in named_by:
            for declared in (one for box in pod["spec"]["containers"] for one in box.get("ports") or []):
                if declared.get("name") == number:
                    yield f"{protocol} dport {declared['containerPort']}"


def _dispatch(way: Direction, jumps: list[str]) -> str:
    return f"ip {way.own} vmap {{ {', '.join(jumps)} }}" if jumps else ""


def _hook(name: str, hook: str, *lines: str) -> str:
    body = "\n  ".join(line for line in (f"type filter hook {hook} priority filter;", ESTABLISHED, *lines) if line)
    return f"chain {name} {{\n  {body}\n}}"


def _address(pod: Object) -> str:
    return str(pod["status"]["podIP"])


def _labels(pod: Object) -> dict[str, str]:
    return pod["metadata"].get("labels") or {}
