"""What an agent does about copies of homes: answers the leader's orders, and restores before a hub is started.

An agent without a grant makes no copy (PROTOCOL.md H7): what it has is not the authoritative copy any more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import structlog

from agents.drivers.base import CopiesDriver, CopyRef, HubDriver
from agents.lease import SiteLease
from federation.api.v1 import agent_pb2
from federation.model.errors import FederationError, Refused
from federation.model.identity import Epoch
from federation.runtime.sealing import SealingKey

MOST_UNREAD = 20
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class FinalCopies:
    """Which copy of each hub was begun after its last stop: all that was written here is in it. Memory only: an agent
    that was restarted does not know, and the leader has the hub copied once more."""

    runs: dict[str, str] = field(default_factory=dict)  # hub -> run
    _starts: Counter[str] = field(default_factory=Counter)

    def started(self, hub: str) -> None:
        """The hub is being started: whatever was copied is not the last word."""
        self._starts[hub] += 1
        self.runs.pop(hub, None)

    def mark(self, hub: str) -> int:
        """To be taken before a copy begins, and given to `made`."""
        return self._starts[hub]

    def made(self, hub: str, run: str, mark: int) -> None:
        """The copy was made while the hub was stopped, and it was not started meanwhile."""
        if mark == self._starts[hub]:
            self.runs[hub] = run

    def unsaved(self, hub: str, run: str) -> str:
        """Why the hub must not be given up with `run` as its final copy; empty: it may, or needs none."""
        if not run or self.runs.get(hub) == run:
            return ""
        return "the copy on record is not known to be the last word"


@dataclass(frozen=True, slots=True)
class Copying:
    """`answer` never raises: what went wrong is said to the leader."""

    copies: CopiesDriver
    hubs: HubDriver
    lease: SiteLease
    sealing: SealingKey
    finals: FinalCopies

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
        except Exception as error:  # a copy that goes wrong must not end the agent, whose classes run
            log.exception("copies.defect")
            answer.error = f"a defect of the agent: {error!r}"
        return answer

    async def _copy(self, order: agent_pb2.CopyAsk) -> agent_pb2.Copied:
        epoch = Epoch(era=order.epoch.era, n=order.epoch.n)
        held = self.lease.held.get(order.hub)
        if held is None or held.epoch != epoch or self.lease.lapsed(order.hub):
            raise Refused(f"{order.hub} is not held here at epoch {epoch}")
        password = self.sealing.open(order.password).decode()
        mark = self.finals.mark(order.hub)
        stopped = not (await self.hubs.observe(order.hub)).processes
        saved = await self.copies.save(order.hub, epoch, password, run=order.run)
        if stopped:
            self.finals.made(order.hub, order.run, mark)
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
