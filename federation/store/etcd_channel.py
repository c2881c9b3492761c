"""Calls to etcd's members: several endpoints, mutual TLS, a deadline on everything, errors translated once.

A read may be tried at the next endpoint within its one deadline. A write is tried again only when it surely was not
applied; otherwise the caller hears that it is indefinite.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio
from aetcd import rpc

from federation.model.errors import (
    DeadlineExceeded,
    Denied,
    FederationError,
    InvalidRequest,
    NotFound,
    RegisterFull,
    Unavailable,
)
from federation.runtime.channel import CHANNEL_OPTIONS
from federation.runtime.tls import TlsFiles, channel_credentials

R = TypeVar("R")

# Pages of a listing may be larger than what our own services accept; and etcd takes pings of an idle channel as abuse.
OURS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.keepalive_permit_without_calls", 0),
)
OPTIONS = tuple(o for o in CHANNEL_OPTIONS if o[0] not in dict(OURS)) + OURS
REQUIRE_LEADER = (("hasleader", "true"),)
"""A member that is cut off from the others then says so, at once for calls and after three elections for streams;
without it, a watch there would stay open and silent."""

# Said before a request is sent or by a member that did not propose it. "Connection refused" or "no route" alone are
# not among them: an established connection can break with the same words after the request went out.
NOT_APPLIED = (
    "failed to connect to all addresses",
    "connections to all backends failing",
    "etcdserver: no leader",
    "etcdserver: not capable",
    "etcdserver: too many requests",
)
TRY_S = 2.0  # to connect to one endpoint, or one read there, when others are left
PAUSE_S = 0.1
TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class EtcdMember:
    """One endpoint with its stubs."""

    def __init__(self, endpoint: str, tls: TlsFiles | None) -> None:
        self.endpoint = endpoint
        self.channel = (
            grpc.aio.secure_channel(endpoint, channel_credentials(tls), options=OPTIONS)
            if tls is not None
            else grpc.aio.insecure_channel(endpoint, options=OPTIONS)
        )
        self.kv: Any = rpc.KVStub(self.channel)
        self.lease: Any = rpc.LeaseStub(self.channel)
        self.watch: Any = rpc.WatchStub(self.channel)
        self.maintenance: Any = rpc.MaintenanceStub(self.channel)

    async def connected(self, limit_s: float) -> bool:
        """Whether a call can be made now: connected, or surely not, so that the call fails at once with the reason.

        False while neither is known: a call would only wait, and could not be told from one that was sent.
        """
        state = self.channel.get_state(try_to_connect=True)
        try:
            async with asyncio.timeout(limit_s):
                while state not in (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE):
                    await self.channel.wait_for_state_change(state)
                    state = self.channel.get_state(try_to_connect=True)
        except TimeoutError:
            return False
        return True


class EtcdMembers:
    """All endpoints, the last good one first."""

    def __init__(self, endpoints: tuple[str, ...], tls: TlsFiles | None) -> None:
        if not endpoints:
            raise InvalidRequest("the register has no endpoints", help="Give at least one host:port.")
        self._members = [EtcdMember(endpoint, tls) for endpoint in endpoints]
        self.closed = False

    def all(self) -> tuple[EtcdMember, ...]:
        """In the order in which to ask them."""
        return tuple(self._members)

    async def call(
        self,
        what: str,
        ask: Callable[[EtcdMember, float], Awaitable[R]],
        *,
        timeout_s: float,
        write: bool,
        try_s: float = TRY_S,
    ) -> R:
        """Ask one member after the other until one answers or the time is up; `try_s` is for one of several."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        alone = len(self._members) == 1
        attempts: dict[str, str] = {}
        while True:
            for member in self.all():
                left = until - loop.time()
                if left <= 0 or self.closed:
                    raise _gave_up(what, timeout_s, attempts, closed=self.closed)
                try:
                    if not await member.connected(left if alone else min(left, try_s)):
                        attempts[member.endpoint] = "cannot be reached"
                        self.demote(member)
                        continue
                    left = max(until - loop.time(), 0.001)
                    answer = await ask(member, left if write or alone else min(left, try_s))
                except asyncio.CancelledError:
                    self.demote(member)  # whoever gave up waiting should meet another one next time
                    self.raise_if_closed(what)
                    raise
                except grpc.aio.UsageError as error:
                    raise Unavailable(f"{what}: the store is closed") from error
                except grpc.aio.AioRpcError as error:
                    failure = translate(what, error, write=write)
                    if error.code() in TRANSIENT:
                        self.demote(member)
                    if error.code() not in TRANSIENT or (write and not failure.definite):
                        raise failure from error
                    attempts[member.endpoint] = f"{error.code().name} {error.details()}"
                    continue
                self.prefer(member)
                return answer
            await asyncio.sleep(min(PAUSE_S, max(0.0, until - loop.time())))

    def prefer(self, member: EtcdMember) -> None:
        """Ask this one first from now on."""
        self._members.remove(member)
        self._members.insert(0, member)

    def demote(self, member: EtcdMember) -> None:
        """Ask this one last from now on."""
        self._members.remove(member)
        self._members.append(member)

    def raise_if_closed(self, what: str) -> None:
        """gRPC reports a channel that we closed as a cancellation, which is not one of the waiting task."""
        task = asyncio.current_task()
        if self.closed and task is not None and not task.cancelling():
            raise Unavailable(f"{what}: the store is closed", definite=False)

    async def close(self) -> None:
        """Close all channels."""
        self.closed = True
        for member in self._members:
            await member.channel.close()


def translate(what: str, error: grpc.aio.AioRpcError, *, write: bool) -> FederationError:
    """A gRPC error in our words; `definite` is true only if a write surely was not applied."""
    code, details = error.code(), error.details() or ""
    words = details.lower()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return (
            DeadlineExceeded(f"{what}: the register did not answer in time") if write else Unavailable(f"{what}: late")
        )
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "space exceeded" in words:
        return RegisterFull(f"{what}: the register's quota is used up (alarm NOSPACE)")
    if code is grpc.StatusCode.NOT_FOUND:
        return NotFound(f"{what}: {details}")
    if code is grpc.StatusCode.INVALID_ARGUMENT:
        return InvalidRequest(f"{what}: refused by the register: {details}")
    if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
        return Denied(f"{what}: refused by the register: {details}")
    definite = not write or any(known in words for known in NOT_APPLIED)
    return Unavailable(f"{what}: {code.name}: {details}", definite=definite)


def _gave_up(what: str, timeout_s: float, attempts: dict[str, str], *, closed: bool) -> Unavailable:
    if closed:
        return Unavailable(f"{what}: the store is closed")
    tried = "; ".join(f"{endpoint}: {reason}" for endpoint, reason in attempts.items())
    return Unavailable(f"{what}: no register member answered in {timeout_s:g} s ({tried or 'none was reached'})")
