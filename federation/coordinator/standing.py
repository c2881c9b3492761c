"""Where this replica stands: does it lead, who else does, how old is what it knows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Protocol

from federation import __version__
from federation.api.v1 import control_pb2
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.wanted import register_message
from federation.model.errors import FederationError, NotLeader, Unavailable
from federation.store.interface import Guard
from federation.store.register import Register

STALE_S = 10.0  # the mirror hears from the store at least this often when all is well


class Leader(Protocol):
    """Another replica that leads: the few calls that only it can answer."""

    def logs(self, request: control_pb2.LogsRequest) -> AsyncGenerator[control_pb2.LogsResponse]:
        """Pass a call for logs on."""
        ...

    async def readiness(self, request: control_pb2.ReadinessRequest) -> control_pb2.ReadinessResponse:
        """Pass a question about a class on."""
        ...

    async def server_test(self, request: control_pb2.ServerTestRequest) -> control_pb2.ServerTestResponse:
        """Ask for a ticket for a test server, or end the test."""
        ...


@dataclass(frozen=True, slots=True)
class LeaderSeen:
    """What the election key says: who leads, where it listens, and the key's create revision (its epoch)."""

    id: str
    address: str
    epoch: int


@dataclass(slots=True)
class Standing:
    """Updated by the leadership loop; read by the services."""

    id: str
    federation: str
    profile: str
    register: Register
    snapshot: Snapshot
    connect: Callable[[str], Leader]
    guard: Guard | None = None  # set while this replica leads
    epoch: int = 0
    seen: LeaderSeen | None = field(default=None)

    @property
    def leads(self) -> bool:
        """Whether this replica leads, as far as it knows; every write is guarded all the same."""
        return self.guard is not None

    @property
    def leader_address(self) -> str:
        """Where the leader listens; empty if none is known."""
        return self.seen.address if self.seen is not None else ""

    def require_leader(self) -> int:
        """The epoch of this replica's leadership, or NotLeader with the leader's address."""
        if self.guard is None:
            raise NotLeader(
                f"coordinator {self.id} does not lead", details={"leader": self.leader_address} if self.seen else {}
            )
        return self.epoch

    def leader_guard(self) -> Guard:
        """Compares the election key; every write of the leader's loops carries it."""
        if self.guard is None:
            raise NotLeader(f"coordinator {self.id} no longer leads")
        return self.guard

    def other_leader(self) -> Leader | None:
        """The leader if it is another replica; None if this one leads. Unavailable if nobody does."""
        if self.guard is not None:
            return None
        if self.seen is None or self.seen.id == self.id:
            raise Unavailable("no coordinator leads at the moment; try again in a few seconds")
        return self.connect(self.seen.address)

    def freshness(self) -> control_pb2.Freshness:
        """How old the mirror is. What a register says that is not believed is never called fresh."""
        age = self.snapshot.mirror.age_s()
        return control_pb2.Freshness(stale=age > STALE_S or bool(self.register.fault), age_s=age)

    async def status(self) -> control_pb2.StatusResponse:
        """For `fedctl doctor` and `version`; answers also without a quorum."""
        try:
            store = await self.register.store.status()
            version = store.version + (f" ALARM {', '.join(store.alarms)}" if store.alarms else "")
        except FederationError as error:
            version = f"unreachable: {error.message}"
        seen = self.seen
        return control_pb2.StatusResponse(
            federation=self.federation,
            register=register_message(self.register.identity),
            revision=self.snapshot.mirror.revision,
            leader=seen.id if seen else "",
            leader_address=seen.address if seen else "",
            leader_epoch=seen.epoch if seen else 0,
            coordinator=self.id,
            version=__version__,
            register_version=version,
            profile=self.profile,
            freshness=self.freshness(),
            register_fault=self.register.fault,
        )
