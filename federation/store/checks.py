"""What every store refuses before it does anything: malformed transactions and those beyond etcd's limits.

Checked on our side, so that the memory twin and etcd refuse the same things in the same words.
"""

from __future__ import annotations

from federation.model.errors import InvalidRequest
from federation.store.interface import MAX_OPERATIONS, MAX_REQUEST_BYTES, Guard, Transaction


def check_transaction(transaction: Transaction) -> None:
    """Raises InvalidRequest that names the limit, the guard or the key."""
    for guard in transaction.guards:
        _check_guard(guard)
    written = [put.key for put in transaction.puts] + list(transaction.deletes)
    if len(set(written)) < len(written):
        twice = sorted({key for key in written if written.count(key) > 1})
        raise InvalidRequest(f"a transaction writes {', '.join(twice)} twice")
    if "" in written:
        raise InvalidRequest("a transaction writes a key without a name")
    operations = len(written) + len(transaction.reads) + len(transaction.ranges)
    for what, count in (("operations", operations), ("guards", len(transaction.guards))):
        if count > MAX_OPERATIONS:
            raise InvalidRequest(f"a transaction has {count} {what}; at most {MAX_OPERATIONS} are possible")
    size = _size(transaction)
    if size > MAX_REQUEST_BYTES:
        raise InvalidRequest(f"a transaction has {size} bytes; at most {MAX_REQUEST_BYTES} are possible")


def _check_guard(guard: Guard) -> None:
    given = [field for field in (guard.revision, guard.created, guard.value) if field is not None]
    if len(given) != 1:
        raise InvalidRequest(
            f"the guard on {guard.key} compares {len(given)} things; exactly one of revision, created, value is needed"
        )


def _size(transaction: Transaction) -> int:
    names = [*transaction.deletes, *transaction.reads, *transaction.ranges]
    guards = sum(len(guard.key.encode()) + len(guard.value or b"") for guard in transaction.guards)
    puts = sum(len(put.key.encode()) + len(put.value) for put in transaction.puts)
    return guards + puts + sum(len(name.encode()) for name in names)
