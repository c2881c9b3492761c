"""Translation between the store's interface and etcd's messages. Pure; the only place that knows the key prefix."""

from __future__ import annotations

from typing import Any

from aetcd import rpc

from federation.store.interface import Change, ChangeKind, Committed, Entry, Guard, Transaction

# numbers of etcd's enums, which its stubs carry as plain integers
EQUAL = 0
CREATED, REVISION, VALUE = 1, 2, 3
DELETED = 1


class EtcdMessages:
    """Requests and answers of one federation, whose keys lie below `prefix`."""

    def __init__(self, prefix: str) -> None:
        self._prefix = (prefix.rstrip("/") + "/").encode()

    def key(self, key: str) -> bytes:
        """As etcd knows it."""
        return self._prefix + key.encode()

    def end(self, prefix: str) -> bytes:
        """The first key after all that start with `prefix`; UTF-8 has no byte 0xff, so adding one is safe."""
        start = self.key(prefix)
        return start[:-1] + bytes([start[-1] + 1])

    def entry(self, kv: Any) -> Entry:
        """A key as read."""
        return Entry(kv.key[len(self._prefix) :].decode(), kv.value, kv.mod_revision, kv.create_revision)

    def change(self, event: Any) -> Change:
        """An event of a watch."""
        return Change(ChangeKind.DELETE if event.type == DELETED else ChangeKind.PUT, self.entry(event.kv))

    def transaction(self, transaction: Transaction) -> Any:
        """The request. Reads come after writes, so that they see the resulting revision."""
        operations = [
            rpc.RequestOp(request_put=rpc.PutRequest(key=self.key(put.key), value=put.value, lease=put.lease))
            for put in transaction.puts
        ]
        operations += [
            rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=self.key(key))) for key in transaction.deletes
        ]
        operations += [rpc.RequestOp(request_range=rpc.RangeRequest(key=self.key(key))) for key in transaction.reads]
        operations += [
            rpc.RequestOp(request_range=rpc.RangeRequest(key=self.key(prefix), range_end=self.end(prefix)))
            for prefix in transaction.ranges
        ]
        return rpc.TxnRequest(compare=[self._compare(guard) for guard in transaction.guards], success=operations)

    def committed(self, transaction: Transaction, answer: Any) -> Committed:
        """The answer to a transaction that was carried out."""
        read = answer.responses[len(transaction.puts) + len(transaction.deletes) :]
        found = [tuple(self.entry(kv) for kv in item.response_range.kvs) for item in read]
        single, many = found[: len(transaction.reads)], found[len(transaction.reads) :]
        return Committed(
            answer.header.revision,
            {key: entries[0] if entries else None for key, entries in zip(transaction.reads, single, strict=True)},
            dict(zip(transaction.ranges, many, strict=True)),
        )

    def _compare(self, guard: Guard) -> Any:
        key = self.key(guard.key)
        if guard.revision is not None:
            return rpc.Compare(key=key, result=EQUAL, target=REVISION, mod_revision=guard.revision)
        if guard.created is not None:
            return rpc.Compare(key=key, result=EQUAL, target=CREATED, create_revision=guard.created)
        return rpc.Compare(key=key, result=EQUAL, target=VALUE, value=guard.value)
