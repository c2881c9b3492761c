"""Volume claims of a hub's namespace: which are students' homes, on which node they are used, and what new ones are. Pure.

A claim of a home is named as KubeSpawner names it (`federation/core/claim_names.py`), and carries the student's name, from
which comes what the home is called in a copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from agents.drivers.kubernetes.census import USERNAME
from agents.drivers.kubernetes.marks import HUB, MANAGED_BY, OVER
from federation.core.chart_values.seat import SHARED_CLAIM
from federation.core.claim_names import claim_of, generation_of
from federation.core.home_names import slug
from federation.model.errors import DriverError
from federation.model.scalars import TESTER

Object = dict[str, Any]
STUDENTS = "component=singleuser-storage"
DATABASE = "hub-db-dir"
HOME, SERVER_NAME = "hubfed.io/home", "hub.jupyter.org/servername"
ONCE, MANY = "ReadWriteOnce", "ReadWriteMany"
HOME_SIZE, DATABASE_SIZE = "5Gi", "1Gi"
SQLITE = "sqlite-pvc"
UID, GID = 1000, 100  # of the upstream chart


@dataclass(frozen=True, slots=True)
class HomeClaims:
    """`claims`: home -> claim. `others`: claims of students that are no homes as copies have them."""

    claims: Mapping[str, str]
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, found: Iterable[Object], generation: int) -> HomeClaims:
        """Those of one generation, of all claims of the namespace."""
        claims: dict[str, str] = {}
        others: list[str] = []
        for claim in found:
            meta = claim["metadata"]
            if generation_of(meta["name"]) != generation or meta.get("deletionTimestamp"):
                continue
            notes = meta.get("annotations") or {}
            user = notes.get(USERNAME, "")
            home = notes.get(HOME) or (slug(user) if user else "")
            if home and not notes.get(SERVER_NAME):
                claims[home] = meta["name"]
            elif user != TESTER:
                others.append(meta["name"])
        claims.pop(slug(TESTER), None)
        return cls(dict(sorted(claims.items())), tuple(sorted(others)))


def check_not_shared(hub: str, found: Iterable[Object]) -> None:
    """DriverError if the homes are folders of one claim: those are not copied yet."""
    if any(claim["metadata"]["name"] == SHARED_CLAIM for claim in found):
        raise DriverError(f"{hub}: its homes are on one shared volume, which is not copied yet", delay_s=None)


def in_use(pods: Iterable[Object]) -> Mapping[str, str]:
    """Claim -> the node on which a pod has it, or will have it in a moment."""
    found: dict[str, str] = {}
    for pod in pods:
        node = pod["spec"].get("nodeName")
        if not node or (pod.get("status") or {}).get("phase") in OVER:
            continue
        for volume in pod["spec"].get("volumes") or ():
            if (source := volume.get("persistentVolumeClaim")) is not None:
                found[source["claimName"]] = node
    return found


def bound_to_nodes(found: Iterable[Object]) -> frozenset[str]:
    """Claims that no second node can have while one has them."""
    return frozenset(
        claim["metadata"]["name"] for claim in found if MANY not in (claim["spec"].get("accessModes") or ())
    )


def one_node(hub: str, claims: Iterable[str], used: Mapping[str, str]) -> str:
    """The node that all of these claims can be reached on; empty: any. DriverError if there is none: one copy is made by
    one pod."""
    nodes = sorted({used[claim] for claim in claims if claim in used})
    if len(nodes) > 1:
        wrong = (
            f"{hub}: students work on {len(nodes)} nodes ({', '.join(nodes)}), and one copy is made on one: volumes that "
            "only one node can have cannot be read together"
        )
        raise DriverError(wrong, delay_s=60.0, help="It is made when all who work are on one node, or nobody works.")
    return nodes[0] if nodes else ""


@dataclass(frozen=True, slots=True)
class Reach:
    """From where claims can be read together. `node` empty: from any. `unread`: what cannot be, and why."""

    node: str
    database: bool
    unread: tuple[str, ...] = ()


def reach(hub: str, claims: Iterable[str], found: Iterable[Object], used: Mapping[str, str]) -> Reach:
    """Homes together with the hub's database; students' files matter more than that. DriverError if not even those can be.
    `found`: all claims of the namespace."""
    every = tuple(found)
    tied = bound_to_nodes(every)
    node = one_node(hub, (claim for claim in claims if claim in tied), used)
    if all(claim["metadata"]["name"] != DATABASE for claim in every):
        return Reach(node, database=False)
    hubs = used.get(DATABASE, "") if DATABASE in tied else ""
    if node and hubs and node != hubs:
        unread = f"the hub's database (it is in use on {hubs}, and homes are on {node})"
        return Reach(node, database=False, unread=(unread,))
    return Reach(node or hubs, database=True)


@dataclass(frozen=True, slots=True)
class ClaimSize:
    """Of a new claim. `storage_class` empty: the cluster's default one."""

    storage: str  # as Kubernetes writes it
    storage_class: str = ""

    @classmethod
    def like(cls, found: Iterable[Object], otherwise: ClaimSize) -> ClaimSize:
        """As homes here are already."""
        for claim in found:
            if generation_of(claim["metadata"]["name"]) is not None:
                spec = claim["spec"]
                return cls(spec["resources"]["requests"]["storage"], spec.get("storageClassName") or "")
        return otherwise


def home_claim(hub: str, home: str, user: str, generation: int, size: ClaimSize) -> Object:
    """As KubeSpawner would make it. Where nobody knows whose it is, `user` is what the home is called."""
    labels = {"component": "singleuser-storage", HUB: hub, MANAGED_BY: "hubfed"}
    metadata = {"name": claim_of(user, generation), "labels": labels, "annotations": {USERNAME: user, HOME: home}}
    return _claim(metadata, size)


def database_claim(hub: str, size: ClaimSize) -> Object:
    """That of the hub's own database, before there is a hub: marked so that Helm takes it for the release's."""
    release = {"meta.helm.sh/release-name": hub, "meta.helm.sh/release-namespace": hub}
    metadata = {"name": DATABASE, "labels": {MANAGED_BY: "Helm"}, "annotations": release}
    return _claim(metadata, size)


def _claim(metadata: Object, size: ClaimSize) -> Object:
    spec: Object = {"accessModes": [ONCE], "resources": {"requests": {"storage": size.storage}}}
    if size.storage_class:
        spec["storageClassName"] = size.storage_class
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def sizes(values: Mapping[str, Any]) -> tuple[ClaimSize, ClaimSize]:
    """Of a home and of the hub's database, as the chart would make them from these values."""
    storage, pvc = _at(values, "singleuser", "storage"), _at(values, "hub", "db", "pvc")
    home = ClaimSize(storage.get("capacity") or HOME_SIZE, _at(storage, "dynamic").get("storageClass") or "")
    return home, ClaimSize(pvc.get("storage") or DATABASE_SIZE, pvc.get("storageClassName") or "")


def has_claim(values: Mapping[str, Any]) -> bool:
    """Whether the hub's database is a file in a claim of its own."""
    return bool(_at(values, "hub", "db").get("type", SQLITE) == SQLITE)


def owner(values: Mapping[str, Any]) -> tuple[int, int]:
    """Uid and group of students' servers: the chart's own, if the values say nothing else."""
    seat = _at(values, "singleuser")
    uid, gid = seat.get("uid"), seat.get("fsGid")
    return UID if uid is None else int(uid), GID if gid is None else int(gid)


def _at(values: Mapping[str, Any], *path: str) -> Mapping[str, Any]:
    for key in path:
        values = values.get(key) or {}
    return values
