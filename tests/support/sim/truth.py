"""What the register truly committed, in the history's words: leases, armed runs, owners, takeovers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from federation.model.errors import Conflict
from federation.store import keys
from federation.store.interface import Committed, Entry, Put, Transaction
from federation.store.memory import MemoryStore
from tests.support.sim import history as h
from tests.support.sim.history_homes import Recorded
from tests.support.sim.loop import Process, SimLoop


def pair(epoch: dict[str, int]) -> h.Pair:
    """An epoch as stored."""
    return epoch["era"], epoch["n"]


@dataclass(slots=True)
class RegisterTruth:
    """Sees each transaction as the register carries it out. `on_takeover` is told of "sent" and "done" ones, for faults
    that strike just then."""

    history: h.History
    loop: SimLoop
    on_takeover: list[Callable[[str, Process], None]] = field(default_factory=list)
    lease_s: dict[str, float] = field(default_factory=dict)  # site -> true time of its newest lease
    _owned: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def commit(self, store: MemoryStore, by: Process, transaction: Transaction, sent_s: float) -> Committed:
        """Carry it out and write down what changed."""
        written = {put.key: put for put in transaction.puts}
        takeover = self._takeover(store, by, transaction, written, sent_s)
        before = {key: await store.get(key) for key in transaction.deletes}
        try:
            committed = await store.commit(transaction)
        except Conflict:
            if takeover is not None:
                self.history.add(h.Refused(self.loop.true_s, by.name, takeover.hub))
            raise
        if takeover is not None:
            self.history.add(takeover)
        for put in transaction.puts:
            self._put(put, committed.revision, written)
        for key, entry in before.items():
            if entry is not None:
                self._deleted(key)
        if takeover is not None:
            for listener in [*self.on_takeover]:
                listener("done", by)
        return committed

    def answered(self, by: Process, transaction: Transaction, committed: Committed, sent_s: float) -> None:
        """The answer reached the coordinator that asked."""
        own_s = by.host.time(self.loop.true_s)
        if keys.LEASES in transaction.ranges:
            revisions = {keys.tail(e.key): e.revision for e in committed.ranges[keys.LEASES]}
            self.history.add(h.LeasesRead(self.loop.true_s, by.name, sent_s, own_s, revisions))
        if any(put.key == keys.LEADER for put in transaction.puts):
            self.history.add(h.Elected(self.loop.true_s, by.name, own_s))

    def _put(  # noqa: C901 - one table
        self, put: Put, revision: int, written: dict[str, Put]
    ) -> None:
        now, add = self.loop.true_s, self.history.add
        folder, _, rest = put.key.partition("/")
        if folder not in ("lease", "contact", "own", "mode", "hub", "op", "event", "classroom", "agent", "home"):
            return
        body = json.loads(put.value)
        if folder in ("lease", "contact"):
            deaf = folder == "contact"
            if not deaf:
                self.lease_s[rest] = now
            add(h.Leased(now, rest, body["incarnation"], body["seq"], body["heard"], revision, deaf))
        elif folder == "own":
            site, hub = rest.split("/")
            run = body.get("armed")
            self._owned[rest] = body
            since = (run["incarnation"], run["seq"]) if run else (0, 0)
            armed, heard, renewed = run is not None, bool(run and run["heard"]), keys.lease(site) in written
            add(h.Run(now, site, hub, pair(body["epoch"]), armed, heard, since, renewed))
        elif folder == "home":
            add(Recorded(now, rest, body["copy_"]["site"], pair(body["epoch"]), body["copy_"]["snapshot"]))
        elif folder == "agent":
            add(h.Started(now, rest, body["incarnation"]))
        elif folder == "mode":
            site, hub = rest.split("/")
            add(h.Wish(now, site, hub, body["mode"]))
        elif folder == "hub":
            owner, epoch = body.get("owner") or "", pair(body["epoch"])
            add(h.Owner(now, rest, owner, epoch, bool(body.get("tombstone")), revision))
        elif folder == "op":
            add(h.Operation(now, rest, body["kind"], body["step"]))
        elif folder == "event" and body["type"].startswith(("failover.", "protection.")):
            add(h.Note(now, body.get("hub", ""), body["type"]))
        elif folder == "classroom" and body.get("retired"):
            add(h.Retired(now, body["uid"]))

    def _deleted(self, key: str) -> None:
        folder, _, rest = key.partition("/")
        if folder == "own":
            site, hub = rest.split("/")
            self._owned.pop(rest, None)
            self.history.add(h.Run(self.loop.true_s, site, hub, None))

    def _takeover(
        self, store: MemoryStore, by: Process, transaction: Transaction, written: dict[str, Put], sent_s: float
    ) -> h.TakenOver | None:
        """The takeover that this transaction is, whatever it compares."""
        steps = [json.loads(p.value) for key, p in written.items() if key.startswith(keys.OPERATIONS)]
        if not steps or (steps[0]["kind"], steps[0]["step"]) != ("failover", "owned"):
            return None
        hub = steps[0]["hub"]
        record = written.get(keys.ownership(hub))
        if record is None:
            return None
        after = json.loads(record.value)
        source, target = steps[0]["source"], after["owner"]
        for listener in [*self.on_takeover]:
            listener("sent", by)
        guards = {guard.key: guard for guard in transaction.guards}
        counted, lease = guards.get(keys.lease(source)), entry_now(store, keys.lease(source))
        members = json.loads(found.value)["members"] if (found := entry_now(store, keys.MEMBERS)) else []
        owned = self._owned.get(f"{source}/{hub}", {}).get("armed")
        now = self.loop.true_s
        return h.TakenOver(
            now,
            by.name,
            hub,
            source,
            target,
            pair(after["epoch"]),
            sent_s,
            counted=(counted.revision or 0) if counted is not None else 0,
            lease=lease.revision if lease is not None else 0,
            heard=bool(owned and owned["heard"]),
            target_lease_s=now - self.lease_s.get(target, -1e9),
            members_ack=json.loads(lease.value)["members_ack"] if lease is not None else 0,
            target_since=next((m["since"] for m in members if m["site"] == target), 0),
        )


def entry_now(store: MemoryStore, key: str) -> Entry | None:
    """A key as it is at this moment."""
    try:
        store.get(key).send(None)
    except StopIteration as done:
        found: Entry | None = done.value
        return found
    raise AssertionError("the memory store waited")
