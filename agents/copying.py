"""What an agent does about copies of homes: answers the leader's orders, and restores before a hub is started.

An agent without a grant makes no copy (PROTOCOL.md H7): what it has is not the authoritative copy any more. What it has
and nobody else has it saves by the leader's order alone, as a copy that no takeover restores (I3).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import structlog

from agents.drivers.base import CopiesDriver, CopyRef, HomesDriver, HomesMark, HubDriver, Placed
from agents.lease import SiteLease
from agents.wanted import WantedHubs
from federation.api.v1 import agent_pb2, types_pb2
from federation.model.errors import FederationError, NotFound, Refused
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
    homes: HomesDriver
    hubs: HubDriver
    lease: SiteLease
    wanted: WantedHubs
    sealing: SealingKey
    finals: FinalCopies

    async def answer(self, ask: agent_pb2.Ask) -> agent_pb2.Answer:
        """Carry out one order about copies."""
        answer = agent_pb2.Answer(id=ask.id, done=True)
        try:
            await self._carry_out(ask, answer)
        except FederationError as error:
            answer.error = error.message
        except Exception as error:  # a copy that goes wrong must not end the agent, whose classes run
            log.exception("copies.defect")
            answer.error = f"a defect of the agent: {error!r}"
        return answer

    async def _carry_out(self, ask: agent_pb2.Ask, answer: agent_pb2.Answer) -> None:
        match ask.WhichOneof("ask"):
            case "copy":
                answer.copied.CopyFrom(await self._copy(ask.copy))
            case "look":
                password = self.sealing.open(ask.look.password).decode()
                answer.error = await self.copies.look(copy_ref(ask.look.copy), password)
            case "place_home":
                answer.placed.CopyFrom(await self._place_home(ask.place_home))
            case "save_unsent":
                answer.unsent.CopyFrom(await self._save_unsent(ask.save_unsent))
            case "recover":
                answer.placed.CopyFrom(await self._recover(ask.recover))
            case other:
                raise Refused(f"this agent does not know what {other or 'an order of a newer coordinator'} means")

    async def _copy(self, order: agent_pb2.CopyAsk) -> agent_pb2.Copied:
        epoch = self._holds(order.hub, order.epoch)
        password = self.sealing.open(order.password).decode()
        mark = self.finals.mark(order.hub)
        stopped = not (await self.hubs.observe(order.hub)).processes
        if stopped and not await self._has_homes(order.hub, epoch):
            return agent_pb2.Copied(nothing=True)
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
            each=[
                agent_pb2.SavedHome(name=name, bytes=home.bytes, changed=home.changed)
                for name, home in sorted(saved.homes.items())
            ],
        )

    async def _has_homes(self, hub: str, epoch: Epoch) -> bool:
        """Whether there may be work of this epoch here. A class that was ordered away before it had started has none if
        its restore was never done; if that was done at an earlier epoch of its stay, the tree is this epoch's now."""
        directive = self.wanted.hubs.get(hub)
        if directive is None or not directive.HasField("restore") or _epoch(directive.epoch) != epoch:
            return True
        mark = await self.homes.mark(hub)
        if mark is not None and mark.epoch >= epoch:
            return True
        if not restored_before(mark, directive):
            return False
        await self.homes.ensure(hub, epoch)
        return True

    async def _place_home(self, order: agent_pb2.PlaceHomeAsk) -> agent_pb2.Placed:
        self._holds(order.copy.hub, order.epoch)
        password = self.sealing.open(order.password).decode()
        done = await self.copies.restore_aside(copy_ref(order.copy), order.user, order.folder, password)
        return wire_placed(Placed(done=(order.user,)) if done else Placed(there=(order.user,)))

    async def _save_unsent(self, order: agent_pb2.SaveUnsentAsk) -> agent_pb2.Unsent:
        """Only of an ownership that is over: what is still held is copied, and not handed over."""
        epoch, held = _epoch(order.epoch), self.lease.held.get(order.hub)
        if held is not None and held.epoch <= epoch:
            raise Refused(f"{order.hub} is held here at epoch {held.epoch}: nothing of {epoch} is unsent yet")
        password = self.sealing.open(order.password).decode()
        try:
            work = await self.copies.save_unsent(order.hub, epoch, copy_ref(order.base), password, run=order.run)
        except NotFound as error:
            return agent_pb2.Unsent(gone=error.message)
        homes = [
            agent_pb2.SavedHome(name=name, bytes=home.bytes, files=home.files, changed=True)
            for name, home in sorted(work.homes.items())
        ]
        log.info("copies.unsent", hub=order.hub, epoch=str(epoch), homes=len(homes))
        return agent_pb2.Unsent(snapshot=work.snapshot, homes=homes, unread=work.unread[:MOST_UNREAD])

    async def _recover(self, order: agent_pb2.RecoverAsk) -> agent_pb2.Placed:
        self._holds(order.copy.hub, order.epoch)
        password = self.sealing.open(order.password).decode()
        placed = await self.copies.recover(copy_ref(order.copy), order.folder, tuple(order.users), password)
        log.info("copies.recovered", hub=order.copy.hub, folder=order.folder, homes=len(placed.done))
        return wire_placed(placed)

    def _holds(self, hub: str, wire: types_pb2.Epoch) -> Epoch:
        """The epoch of the order, at which the hub is held here; else Refused."""
        epoch, held = _epoch(wire), self.lease.held.get(hub)
        if held is None or held.epoch != epoch or self.lease.lapsed(hub):
            raise Refused(f"{hub} is not held here at epoch {epoch}")
        return epoch


def restored_before(mark: HomesMark | None, directive: agent_pb2.WantedHub) -> bool:
    """Whether the homes here are what is to be restored, and what students did since: they were restored at an earlier
    epoch of this stay, e.g. before the class was retired, and nobody had written down that it had started."""
    if mark is None or not directive.HasField("restore_since"):
        return False
    since, epoch = _epoch(directive.restore_since), _epoch(directive.epoch)
    return since < epoch and since <= mark.epoch


def _epoch(message: types_pb2.Epoch) -> Epoch:
    return Epoch(era=message.era, n=message.n)


def wire_placed(placed: Placed) -> agent_pb2.Placed:
    """To the wire."""
    return agent_pb2.Placed(done=placed.done, there=placed.there, unknown=placed.unknown)


def copy_ref(message: agent_pb2.CopyRef) -> CopyRef:
    """From the wire."""
    return CopyRef(site=message.site, hub=message.hub, snapshot=message.snapshot)
