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

from federation.model.errors import DeadlineExceeded, FederationError, RegisterFull, Unavailable
from federation.runtime.channel import CHANNEL_OPTIONS
from federation.runtime.tls import TlsFiles, channel_credentials

R = TypeVar("R")

MOST_MESSAGE_BYTES = 64 * 1024 * 1024  # a page of a listing may be larger than what our own services accept
OPTIONS = tuple(o for o in CHANNEL_OPTIONS if o[0] != "grpc.max_receive_message_length") + (
    ("grpc.max_receive_message_length", MOST_MESSAGE_BYTES),
)
NOT_CONNECTED = ("failed to connect", "connection refused", "no route", "connections to all backends failing")
NO_LEADER = ("no leader", "leader changed", "not leader", "not capable")
TRY_S = 2.0  # one endpoint, when others are left


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


class EtcdMembers:
    """All endpoints, the last good one first."""

    def __init__(self, endpoints: tuple[str, ...], tls: TlsFiles | None) -> None:
        self._members = [EtcdMember(endpoint, tls) for endpoint in endpoints]

    @property
    def first(self) -> EtcdMember:
        """The member that answered last."""
        return self._members[0]

    async def call(
        self, what: str, ask: Callable[[EtcdMember, float], Awaitable[R]], *, timeout_s: float, write: bool
    ) -> R:
        """Ask one member after the other until one answers or the time is up."""
        loop = asyncio.get_running_loop()
        until = loop.time() + timeout_s
        attempts: list[str] = []
        while True:
            for member in tuple(self._members):
                left = until - loop.time()
                if left <= 0:
                    raise Unavailable(f"{what}: no register member answered in {timeout_s:g} s ({'; '.join(attempts)})")
                try:
                    limit = left if write or len(self._members) == 1 else min(left, TRY_S)
                    answer = await ask(member, limit)
                except grpc.aio.AioRpcError as error:
                    attempts = [*attempts[-4:], f"{member.endpoint}: {error.code().name} {error.details()}"]
                    failure = translate(what, error, write=write)
                    if not _may_try_again(failure, error, write=write):
                        raise failure from error
                    continue
                self.prefer(member)
                return answer
            await asyncio.sleep(min(0.1, max(0.0, until - loop.time())))

    def prefer(self, member: EtcdMember) -> None:
        """Ask this one first from now on."""
        if self._members[0] is not member:
            self._members.remove(member)
            self._members.insert(0, member)

    def demote(self, member: EtcdMember) -> None:
        """Ask this one last from now on."""
        self._members.remove(member)
        self._members.append(member)

    async def close(self) -> None:
        """Close all channels."""
        for member in self._members:
            await member.channel.close()


def translate(what: str, error: grpc.aio.AioRpcError, *, write: bool) -> FederationError:
    """A gRPC error in our words; `definite` is true only if a write surely was not applied."""
    code, details = error.code(), (error.details() or "").lower()
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"{what}: the register did not answer in time") if write else Unavailable(f"{what}: late")
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED and "space" in details:
        return RegisterFull(f"{what}: the register's quota is used up (alarm NOSPACE)")
    definite = not write or any(words in details for words in NOT_CONNECTED)
    return Unavailable(f"{what}: {code.name}: {error.details()}", definite=definite)


def _may_try_again(failure: FederationError, error: grpc.aio.AioRpcError, *, write: bool) -> bool:
    if isinstance(failure, RegisterFull):
        return False
    transient = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    return transient and (not write or (failure.definite and isinstance(failure, Unavailable)))
