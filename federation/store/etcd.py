"""The register on etcd (3.4 or newer): our own small client over aetcd's generated stubs (docs/adr/0002).

Keys of the interface are relative; the federation's prefix is added and taken away here and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from aetcd import rpc

from federation.model.errors import Conflict, InvalidRequest, Unavailable
from federation.runtime.tls import TlsFiles
from federation.store.etcd_channel import EtcdMember, EtcdMembers, translate
from federation.store.interface import (
    MAX_OPERATIONS,
    MAX_REQUEST_BYTES,
    Batch,
    Change,
    ChangeKind,
    Committed,
    Compacted,
    Entry,
    Guard,
    Listing,
    StoreStatus,
    Transaction,
)

PAGE = 500
ALARMS = {1: "NOSPACE", 2: "CORRUPT"}


class EtcdStore:
    """`Store` on etcd. `silence_s`: a watch on which neither changes nor progress notices came for so long is dead."""

    def __init__(
        self,
        endpoints: tuple[str, ...],
        *,
        tls: TlsFiles | None = None,
        prefix: str,
        timeout_s: float = 5.0,
        silence_s: float = 10.0,
    ) -> None:
        self._members = EtcdMembers(endpoints, tls)
        self._prefix = prefix.rstrip("/") + "/"
        self._timeout_s = timeout_s
        self._silence_s = silence_s

    async def get(self, key: str, *, timeout_s: float | None = None) -> Entry | None:
        request = rpc.RangeRequest(key=self._key(key))
        answer = await self._read(f"read {key}", request, timeout_s)
        return self._entry(answer.kvs[0]) if answer.kvs else None

    async def list(self, prefix: str, *, timeout_s: float | None = None) -> Listing:
        """Pages at one revision, so that a listing of any size is one consistent view."""
        start, end = self._key(prefix), _end_of(self._key(prefix))
        entries: list[Entry] = []
        revision = 0
        while True:
            request = rpc.RangeRequest(key=start, range_end=end, limit=PAGE, revision=revision)
            try:
                answer = await self._read(f"list {prefix}", request, timeout_s)
            except Compacted:
                entries, revision, start = [], 0, self._key(prefix)
                continue
            revision = revision or answer.header.revision
            entries.extend(self._entry(kv) for kv in answer.kvs)
            if not answer.more:
                return Listing(tuple(entries), revision)
            start = answer.kvs[-1].key + b"\0"

    async def commit(self, transaction: Transaction, *, timeout_s: float | None = None) -> Committed:
        request = self._request(transaction)
        _check_limits(request)
        write = bool(transaction.puts or transaction.deletes)

        async def ask(member: EtcdMember, limit: float) -> Any:
            return await member.kv.Txn(request, timeout=limit)

        answer = await self._members.call("commit", ask, timeout_s=timeout_s or self._timeout_s, write=write)
        if not answer.succeeded:
            names = ", ".join(guard.key for guard in transaction.guards)
            raise Conflict(f"one of {names} is not as it was read: nothing was written")
        return self._committed(transaction, answer)

    async def watch(self, prefix: str, from_revision: int) -> AsyncIterator[Batch]:
        """Whole revisions only. Progress is asked for, so that silence means that something is wrong."""
        member = self._members.first
        requests: asyncio.Queue[Any] = asyncio.Queue()
        key = self._key(prefix)
        create = rpc.WatchCreateRequest(key=key, range_end=_end_of(key), start_revision=from_revision)
        await requests.put(rpc.WatchRequest(create_request=create))
        call = member.watch.Watch(_requests(requests))
        try:
            while True:
                answer = await self._next(call, requests)
                if answer.compact_revision:
                    raise Compacted
                if answer.canceled:
                    raise Unavailable(f"watch {prefix}: ended by the register: {answer.cancel_reason}")
                if answer.events:
                    yield Batch(tuple(self._change(e) for e in answer.events), answer.header.revision)
                elif not answer.created and answer.header.revision >= from_revision:
                    yield Batch((), answer.header.revision)
        except grpc.aio.AioRpcError as error:
            self._members.demote(member)
            raise translate(f"watch {prefix}", error, write=False) from error
        except TimeoutError as error:
            self._members.demote(member)
            raise Unavailable(f"watch {prefix}: {member.endpoint} silent for {self._silence_s:g} s") from error
        finally:
            call.cancel()

    async def lease_grant(self, ttl_s: float) -> int:
        request = rpc.LeaseGrantRequest(TTL=max(1, round(ttl_s)))

        async def ask(member: EtcdMember, limit: float) -> Any:
            return await member.lease.LeaseGrant(request, timeout=limit)

        answer = await self._members.call("grant a lease", ask, timeout_s=self._timeout_s, write=True)
        return int(answer.ID)

    async def lease_keepalive(self, lease: int) -> float:
        async def ask(member: EtcdMember, limit: float) -> Any:
            once: asyncio.Queue[Any] = asyncio.Queue()
            await once.put(rpc.LeaseKeepAliveRequest(ID=lease))
            call = member.lease.LeaseKeepAlive(_requests(once), timeout=limit)
            try:
                return await call.read()
            finally:
                call.cancel()

        answer = await self._members.call("keep a lease", ask, timeout_s=self._timeout_s, write=False)
        return float(max(answer.TTL, 0)) if answer is not grpc.aio.EOF else 0.0

    async def lease_revoke(self, lease: int) -> None:
        async def ask(member: EtcdMember, limit: float) -> Any:
            try:
                return await member.lease.LeaseRevoke(rpc.LeaseRevokeRequest(ID=lease), timeout=limit)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.NOT_FOUND:
                    return None
                raise

        await self._members.call("revoke a lease", ask, timeout_s=self._timeout_s, write=False)

    async def compact(self, revision: int) -> None:
        async def ask(member: EtcdMember, limit: float) -> Any:
            try:
                return await member.kv.Compact(rpc.CompactionRequest(revision=revision), timeout=limit)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                    return None  # somebody compacted further already
                raise

        await self._members.call("compact", ask, timeout_s=self._timeout_s, write=False)

    async def status(self) -> StoreStatus:
        async def ask(member: EtcdMember, limit: float) -> Any:
            status = await member.maintenance.Status(rpc.StatusRequest(), timeout=limit)
            alarms = await member.maintenance.Alarm(rpc.AlarmRequest(), timeout=limit)
            return member.endpoint, status, alarms

        endpoint, status, alarms = await self._members.call("status", ask, timeout_s=self._timeout_s, write=False)
        names = tuple(sorted({ALARMS.get(alarm.alarm, "UNKNOWN") for alarm in alarms.alarms}))
        return StoreStatus(status.version, endpoint, status.dbSize, names, status.header.revision)

    async def close(self) -> None:
        await self._members.close()

    # --- between the interface and etcd's messages ---

    async def _read(self, what: str, request: Any, timeout_s: float | None) -> Any:
        async def ask(member: EtcdMember, limit: float) -> Any:
            try:
                return await member.kv.Range(request, timeout=limit)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                    raise Compacted from error
                raise

        return await self._members.call(what, ask, timeout_s=timeout_s or self._timeout_s, write=False)

    async def _next(self, call: Any, requests: asyncio.Queue[Any]) -> Any:
        """The next answer; halfway into the silence limit progress is asked for."""
        read = call.read()
        task = asyncio.ensure_future(read)  # noqa: TID251 - shielded below: a read must not be torn by our time limit
        try:
            done, _ = await asyncio.wait({task}, timeout=self._silence_s / 2)
            if not done:
                await requests.put(rpc.WatchRequest(progress_request=rpc.WatchProgressRequest()))
                done, _ = await asyncio.wait({task}, timeout=self._silence_s / 2)
            if not done:
                raise TimeoutError
            answer = task.result()
        finally:
            if not task.done():
                task.cancel()
        if answer is grpc.aio.EOF:
            raise Unavailable("watch: the register ended the stream")
        return answer

    def _request(self, transaction: Transaction) -> Any:
        success = [
            rpc.RequestOp(request_put=rpc.PutRequest(key=self._key(p.key), value=p.value, lease=p.lease))
            for p in transaction.puts
        ]
        success += [
            rpc.RequestOp(request_delete_range=rpc.DeleteRangeRequest(key=self._key(key)))
            for key in transaction.deletes
        ]
        success += [rpc.RequestOp(request_range=rpc.RangeRequest(key=self._key(key))) for key in transaction.reads]
        for prefix in transaction.ranges:
            key = self._key(prefix)
            success.append(rpc.RequestOp(request_range=rpc.RangeRequest(key=key, range_end=_end_of(key))))
        return rpc.TxnRequest(compare=[self._compare(guard) for guard in transaction.guards], success=success)

    def _compare(self, guard: Guard) -> Any:
        fields: dict[str, Any] = {"key": self._key(guard.key), "result": 0}  # 0: equal
        if guard.revision is not None:
            return rpc.Compare(target=2, mod_revision=guard.revision, **fields)
        if guard.created is not None:
            return rpc.Compare(target=1, create_revision=guard.created, **fields)
        return rpc.Compare(target=3, value=guard.value, **fields)

    def _committed(self, transaction: Transaction, answer: Any) -> Committed:
        answers = answer.responses[len(transaction.puts) + len(transaction.deletes) :]
        reads: dict[str, Entry | None] = {}
        for key, item in zip(transaction.reads, answers, strict=False):
            kvs = item.response_range.kvs
            reads[key] = self._entry(kvs[0]) if kvs else None
        ranges = {
            prefix: tuple(self._entry(kv) for kv in item.response_range.kvs)
            for prefix, item in zip(transaction.ranges, answers[len(transaction.reads) :], strict=True)
        }
        return Committed(answer.header.revision, reads, ranges)

    def _change(self, event: Any) -> Change:
        kind = ChangeKind.DELETE if event.type == 1 else ChangeKind.PUT
        return Change(kind, self._entry(event.kv))

    def _entry(self, kv: Any) -> Entry:
        return Entry(kv.key.decode()[len(self._prefix) :], kv.value, kv.mod_revision, kv.create_revision)

    def _key(self, key: str) -> bytes:
        return (self._prefix + key).encode()


def _end_of(prefix: bytes) -> bytes:
    return prefix[:-1] + bytes([prefix[-1] + 1])


async def _requests(queue: asyncio.Queue[Any]) -> AsyncIterator[Any]:
    while True:
        yield await queue.get()


def _check_limits(request: Any) -> None:
    operations = max(len(request.success), len(request.compare))
    if operations > MAX_OPERATIONS:
        raise InvalidRequest(f"a transaction of {operations} operations; at most {MAX_OPERATIONS} are possible")
    if request.ByteSize() > MAX_REQUEST_BYTES:
        raise InvalidRequest(f"a transaction of {request.ByteSize()} bytes; at most {MAX_REQUEST_BYTES} are possible")
