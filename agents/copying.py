"""What an agent does about copies of homes: answers the leader's orders, and restores before a hub is started.

An agent without a grant makes no copy (PROTOCOL.md H7): what it has is not the authoritative copy any more.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.drivers.base import CopiesDriver, CopyRef
from agents.lease import SiteLease
from federation.api.v1 import agent_pb2
from federation.model.errors import FederationError, Refused
from federation.model.identity import Epoch
from federation.runtime.sealing import SealingKey

MOST_UNREAD = 20


@dataclass(frozen=True, slots=True)
class Copying:
    """`answer` never raises: what went wrong is said to the leader."""

    copies: CopiesDriver
    lease: SiteLease
    sealing: SealingKey

    async def answer(self, ask: agent_pb2.Ask) -> agent_pb2.Answer:
        """Carry out `copy` or `look`."""
        answer = agent_pb2.Answer(id=ask.id, done=True)
        try:
            if ask.WhichOneof("ask") == "copy":
                answer.copied.CopyFrom(await self._copy(ask.copy))
            else:
                password = self.sealing.open(ask.look.password).decode()
                answer.error = await self.copies.look(copy_ref(ask.look.copy), password)
        except FederationError as error:
            answer.error = error.message
        return answer

    async def _copy(self, order: agent_pb2.CopyAsk) -> agent_pb2.Copied:
        epoch = Epoch(era=order.epoch.era, n=order.epoch.n)
        held = self.lease.held.get(order.hub)
        if held is None or held.epoch != epoch or self.lease.lapsed(order.hub):
            raise Refused(f"{order.hub} is not held here at epoch {epoch}")
        password = self.sealing.open(order.password).decode()
        saved = await self.copies.save(order.hub, epoch, password, run=order.run)
        return agent_pb2.Copied(
            snapshot=saved.snapshot,
            homes=len(saved.homes),
            files=saved.files,
            bytes=saved.bytes,
            bytes_added=saved.bytes_added,
            seconds=saved.seconds,
            unread=saved.unread[:MOST_UNREAD],
            database=saved.database,
        )


def copy_ref(message: agent_pb2.CopyRef) -> CopyRef:
    """From the wire."""
    return CopyRef(site=message.site, hub=message.hub, snapshot=message.snapshot)
