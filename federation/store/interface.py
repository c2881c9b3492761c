"""The register's interface: what a linearizable key-value store must promise for the protocols of DESIGN.md 4.2.

Two implementations: `memory.MemoryStore` and `etcd.EtcdStore`; `tests/contract/test_store.py` runs on both.
Keys are text without a leading slash, values are bytes. All methods raise only `FederationError`s:

* `Conflict`          a guard did not hold; surely nothing was written
* `Unavailable`       no member answers or no quorum; `definite=False` if a write may have been applied
* `DeadlineExceeded`  the caller's time ran out; always indefinite
* `RegisterFull`      the quota alarm is raised
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

MAX_OPERATIONS = 128  # etcd refuses more in one transaction
MAX_REQUEST_BYTES = 1_500_000  # and more than 1.5 MiB in one request


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as read: `revision` is that of its last change, `created` that of its creation."""

    key: str
    value: bytes
    revision: int
    created: int


@dataclass(frozen=True, slots=True)
class Listing:
    """All keys under a prefix at one register revision, in key order."""

    entries: tuple[Entry, ...]
    revision: int


@dataclass(frozen=True, slots=True)
class Guard:
    """A comparison that must hold for a transaction to be carried out. Exactly one of the fields after `key` is set."""

    key: str
    revision: int | None = None  # last change; 0 = the key does not exist
    created: int | None = None  # creation; used for the leader's election key
    value: bytes | None = None

    @staticmethod
    def absent(key: str) -> Guard:
        """Holds while `key` does not exist."""
        return Guard(key, revision=0)


@dataclass(frozen=True, slots=True)
class Put:
    key: str
    value: bytes
    lease: int = 0  # the key goes when this store lease ends


@dataclass(frozen=True, slots=True)
class Transaction:
    """All or nothing: if every guard holds, `puts` and `deletes` are applied and `reads` (keys) and `ranges`
    (prefixes) are read at the resulting revision; else `Conflict`."""

    guards: tuple[Guard, ...] = ()
    puts: tuple[Put, ...] = ()
    deletes: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """The revision after the transaction, and what it read."""

    revision: int
    reads: dict[str, Entry | None] = field(default_factory=dict)
    ranges: dict[str, tuple[Entry, ...]] = field(default_factory=dict)


class ChangeKind(StrEnum):
    PUT = "put"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one key. For a deletion `entry.value` is empty and `entry.revision` is that of the deletion."""

    kind: ChangeKind
    entry: Entry


@dataclass(frozen=True, slots=True)
class Batch:
    """Changes of one revision or more, whole revisions only; `revision` is the newest that is covered.
    An empty batch is a progress notice: nothing changed up to `revision`."""

    changes: tuple[Change, ...]
    revision: int


class Compacted(Exception):
    """A watch asked for revisions that are gone: list again, then watch from there."""


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """What `doctor` needs to know about the store."""

    version: str
    endpoint: str
    size_bytes: int
    alarms: tuple[str, ...]
    revision: int


class Store(Protocol):
    """Every method has its own deadline (default of the implementation) unless `timeout_s` is given."""

    async def get(self, key: str, *, timeout_s: float | None = None) -> Entry | None:
        """Linearizable read of one key."""
        ...

    async def list(self, prefix: str, *, timeout_s: float | None = None) -> Listing:
        """Linearizable read of all keys under `prefix`, at one revision, however many there are."""
        ...

    async def commit(self, transaction: Transaction, *, timeout_s: float | None = None) -> Committed:
        """Carry out a transaction, or raise `Conflict` (definite) and change nothing."""
        ...

    def watch(self, prefix: str, from_revision: int) -> AsyncIterator[Batch]:
        """Every change under `prefix` with revision >= `from_revision`, in order, none left out.

        Raises `Compacted` if that is too old; `Unavailable` if the stream breaks or stays silent (no change and no
        progress notice) longer than the store's silence limit. The caller resumes from the last batch's revision + 1.
        """
        ...

    async def lease_grant(self, ttl_s: float) -> int:
        """A store lease (the leader's, not a site's): keys put with it vanish when it is not kept alive."""
        ...

    async def lease_keepalive(self, lease: int) -> float:
        """Renew; returns the seconds left, 0 when the lease is gone."""
        ...

    async def lease_revoke(self, lease: int) -> None:
        """End the lease now; its keys vanish. Unknown leases are ignored."""
        ...

    async def compact(self, revision: int) -> None:
        """Forget history before `revision` (already compacted: nothing happens)."""
        ...

    async def status(self) -> StoreStatus:
        """Version, size and alarms of a member that answers."""
        ...

    async def close(self) -> None:
        """End all watches and channels."""
        ...
