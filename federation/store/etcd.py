"""The register on etcd (3.4 or newer): our own small client over aetcd's generated stubs (docs/adr/0002).

Keys of the interface are relative; the federation's prefix is added and taken away by `EtcdMessages`.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from aetcd import rpc

from federation.model.errors import Conflict, InvalidRequest, Unavailable
from federation.runtime.tls import TlsFiles
from federation.store.checks import check_transaction
from federation.store.etcd_channel import REQUIRE_LEADER, EtcdMember, EtcdMembers, translate
from federation.store.etcd_messages import EtcdMessages
from federation.store.etcd_watch import EtcdWatch
from federation.store.interface import Batch, Committed, Compacted, Entry, Listing, StoreStatus, Transaction

PAGE = 500
NOSPACE, CORRUPT = 1, 2
ALARMS = {NOSPACE: "NOSPACE", CORRUPT: "CORRUPT"}
GET, DEACTIVATE = 0, 2  # what to do with alarms
DEFRAGMENT_S = 60.0
STATUS_S, STATUS_TRY_S = 1.5, 0.7  # a person waits, with less patience than a call that has to succeed


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
        self._messages = EtcdMessages(prefix)
        self._timeout_s = timeout_s
        self._silence_s = silence_s

    async def get(self, key: str, *, timeout_s: float | None = None) -> Entry | None:
        request = rpc.RangeRequest(key=self._messages.key(key))
        answer = await self._read(f"read {key}", request, timeout_s or self._timeout_s)
        return self._messages.entry(answer.kvs[0]) if answer.kvs else None

    async def list(self, prefix: str, *, timeout_s: float | None = None) -> Listing:
        """Pages at one revision, so that a listing of any size is one consistent view; one deadline for all pages."""
        loop = asyncio.get_running_loop()
        until = loop.time() + (timeout_s or self._timeout_s)
        while True:
            try:
                return await self._pages(prefix, until)
            except Compacted:  # between two pages: start again at a newer revision
                if loop.time() >= until:
                    raise Unavailable(f"list {prefix}: compacted again and again while it was read") from None

    async def commit(self, transaction: Transaction, *, timeout_s: float | None = None) -> Committed:
        check_transaction(transaction)
        request = self._messages.transaction(transaction)

        async def ask(member: EtcdMember, limit_s: float) -> Any:
            return await member.kv.Txn(request, timeout=limit_s, metadata=REQUIRE_LEADER)

        write = bool(transaction.puts or transaction.deletes)
        answer = await self._members.call("commit", ask, timeout_s=timeout_s or self._timeout_s, write=write)
        if not answer.succeeded:
            names = ", ".join(guard.key for guard in transaction.guards)
            raise Conflict(f"one of {names} is not as it was read: nothing was written")
        return self._messages.committed(transaction, answer)

    def watch(self, prefix: str, from_revision: int) -> AsyncIterator[Batch]:
        return EtcdWatch(self._members, self._messages, prefix, from_revision, self._silence_s).batches()

    async def lease_grant(self, ttl_s: float) -> int:
        request = rpc.LeaseGrantRequest(TTL=math.ceil(ttl_s))  # never shorter than its holder believes

        async def ask(member: EtcdMember, limit_s: float) -> Any:
            return await member.lease.LeaseGrant(request, timeout=limit_s, metadata=REQUIRE_LEADER)

        # not a write that matters twice: a lease that nobody heard of ends by itself
        answer = await self._members.call("grant a lease", ask, timeout_s=self._timeout_s, write=False)
        return int(answer.ID)

    async def lease_keepalive(self, lease: int) -> float:
        async def ask(member: EtcdMember, limit_s: float) -> Any:
            call = member.lease.LeaseKeepAlive(timeout=limit_s, metadata=REQUIRE_LEADER)
            try:
                await call.write(rpc.LeaseKeepAliveRequest(ID=lease))
                return await call.read()
            finally:
                call.cancel()

        answer = await self._members.call("keep a lease", ask, timeout_s=self._timeout_s, write=False)
        if answer is grpc.aio.EOF:
            raise Unavailable(f"keep lease {lease}: the register ended the stream")
        return float(max(answer.TTL, 0))

    async def lease_revoke(self, lease: int) -> None:
        async def ask(member: EtcdMember, limit_s: float) -> None:
            request = rpc.LeaseRevokeRequest(ID=lease)
            try:
                await member.lease.LeaseRevoke(request, timeout=limit_s, metadata=REQUIRE_LEADER)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.NOT_FOUND:
                    raise

        await self._members.call("revoke a lease", ask, timeout_s=self._timeout_s, write=False)

    async def compact(self, revision: int) -> None:
        """etcd's own compaction keeps reads at its revision, not watches from it; ours keeps both."""
        until = revision - 1

        async def ask(member: EtcdMember, limit_s: float) -> None:
            request = rpc.CompactionRequest(revision=until)
            try:
                await member.kv.Compact(request, timeout=limit_s, metadata=REQUIRE_LEADER)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.OUT_OF_RANGE:
                    raise
                if "future" in (error.details() or ""):
                    raise InvalidRequest(f"compact to {revision}: the register has not come so far") from error

        if until > 0:
            await self._members.call("compact", ask, timeout_s=self._timeout_s, write=False)

    async def status(self) -> StoreStatus:
        async def ask(member: EtcdMember, limit_s: float) -> StoreStatus:
            status = await member.maintenance.Status(rpc.StatusRequest(), timeout=limit_s)
            alarms = await member.maintenance.Alarm(rpc.AlarmRequest(action=GET), timeout=limit_s)
            names = sorted({ALARMS.get(alarm.alarm, "UNKNOWN") for alarm in alarms.alarms})
            return StoreStatus(status.version, member.endpoint, status.dbSize, tuple(names), status.header.revision)

        return await self._members.call("status", ask, timeout_s=STATUS_S, try_s=STATUS_TRY_S, write=False)

    async def defragment(self) -> None:
        """Give the space of compacted revisions back, one member after the other; each is deaf while it does."""
        for member in self._members.all():
            try:
                await member.maintenance.Defragment(rpc.DefragmentRequest(), timeout=DEFRAGMENT_S)
            except grpc.aio.AioRpcError as error:
                raise translate(f"defragment {member.endpoint}", error, write=True) from error

    async def disarm(self) -> None:
        """Take back the quota alarm of all members: after compacting and defragmenting, else it is raised again."""

        async def ask(member: EtcdMember, limit_s: float) -> None:
            raised = await member.maintenance.Alarm(rpc.AlarmRequest(action=GET), timeout=limit_s)
            for alarm in raised.alarms:
                if alarm.alarm == NOSPACE:
                    request = rpc.AlarmRequest(action=DEACTIVATE, memberID=alarm.memberID, alarm=NOSPACE)
                    await member.maintenance.Alarm(request, timeout=limit_s)

        await self._members.call("disarm the quota alarm", ask, timeout_s=self._timeout_s, write=False)

    async def close(self) -> None:
        await self._members.close()

    async def _pages(self, prefix: str, until: float) -> Listing:
        start, end = self._messages.key(prefix), self._messages.end(prefix)
        entries: list[Entry] = []
        revision = 0
        while True:
            request = rpc.RangeRequest(key=start, range_end=end, limit=PAGE, revision=revision)
            answer = await self._read(f"list {prefix}", request, until - asyncio.get_running_loop().time())
            revision = revision or answer.header.revision
            entries.extend(map(self._messages.entry, answer.kvs))
            if not answer.more:
                return Listing(tuple(entries), revision)
            start = answer.kvs[-1].key + b"\0"

    async def _read(self, what: str, request: Any, timeout_s: float) -> Any:
        async def ask(member: EtcdMember, limit_s: float) -> Any:
            try:
                return await member.kv.Range(request, timeout=limit_s, metadata=REQUIRE_LEADER)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.OUT_OF_RANGE:
                    raise Compacted from error
                raise

        return await self._members.call(what, ask, timeout_s=timeout_s, write=False)
