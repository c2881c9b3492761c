"""Orders of drills, and taking them back. Any replica may admit; the leader's loop carries out (`drills_loop`)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.coordinator.move_orders import LONGEST_DRAIN_S, MoveOrders
from federation.coordinator.snapshot import Snapshot
from federation.core.drilling import meets
from federation.core.relocation import AHEAD_S
from federation.model.classroom_running import Movable
from federation.model.drill import Drill, Drills, Outcome
from federation.model.errors import InvalidRequest, Refused
from federation.model.operation import Operation
from federation.model.placing import ClassroomRecord
from federation.store import keys
from federation.store.register import Changes, Stored

LONGEST_AHEAD = timedelta(days=92)
AGAIN = timedelta(minutes=1)
SLACK = timedelta(minutes=5)  # of clocks, for an order of this very moment
ANYWAY = "`fedctl doctor` says what is missing; --anyway rehearses all the same, and the record says so."


@dataclass(frozen=True, slots=True)
class DrillOrder:
    """How a drill was asked for. `at` None: at once."""

    actor: str
    at: datetime | None = None
    now: bool = False
    anyway: bool = False
    drain_s: float = 0.0


@dataclass(slots=True)
class DrillOrders:
    """Guarded writes, one transaction each."""

    orders: MoveOrders
    snapshot: Snapshot

    async def order(self, name: str, asked: DrillOrder) -> tuple[str, Drill, bool]:
        """The hub, its drill, and whether it is a new one. What could not begin at its time is refused now, with the
        reason; the same order once more changes nothing."""
        if not 0 <= asked.drain_s <= LONGEST_DRAIN_S:
            raise InvalidRequest(f"students can be waited for from 0 to {LONGEST_DRAIN_S / 3600:.0f} hours")
        admission = self.orders.admission
        record, operation, ownership = await self.orders.live(name)
        hub, now = record.document.uid, admission.journalist.clock.now()
        at = self._time(asked.at, now)
        stored = await admission.register.read(keys.drill(hub), Drills)
        running = stored.document.running if stored is not None else None
        if running is not None:
            if _same(running, asked, now):
                return hub, running, False
            begun = "is under way" if running.began is not None else f"is ordered for {_text(running.at)}"
            raise Refused(f"{name}: a drill {begun}", help=f"`fedctl drill {name} --cancel` takes it back.")
        self._refuse_unfit(name, record.document, at, asked)
        if asked.at is None and not operation.document.done:
            raise Refused(f"{name}: {operation.document.kind.value} is under way", help=f"`fedctl watch {name}`.")
        unarmed = unarmed_because(self.snapshot, hub, ownership.document.owner or "")
        if unarmed and not asked.anyway:
            raise Refused(f"{name} is not armed, so nothing would take it over: {'; '.join(unarmed)}", help=ANYWAY)
        if asked.at is None:
            self.orders.standby(name, hub, ownership.document.owner or "")
        drill = Drill(
            id=f"drill-{hub}-{admission.random.getrandbits(24):06x}",
            actor=asked.actor,
            ordered=now,
            at=at,
            now=asked.now,
            anyway=asked.anyway,
            drain_s=asked.drain_s,
        )
        kept = (stored.document if stored is not None else Drills(hub=hub)).revise(running=drill)
        changes = Changes().unchanged(keys.drill(hub), stored).unchanged(record.key, record).put(keys.drill(hub), kept)
        message = f"for {_text(at)}, by {asked.actor}"
        admission.journalist.add(changes, "drill.ordered", message, hub=hub, actor=asked.actor)
        await admission.register.commit(changes)
        return hub, drill, True

    async def cancel(self, name: str, actor: str) -> tuple[str, Drill | None, bool]:
        """Take a drill back that has not begun, or turn it round while its class is still at its own site."""
        admission = self.orders.admission
        record, operation = await admission.live(name)
        hub = record.document.uid
        stored = await admission.register.read(keys.drill(hub), Drills)
        if stored is None or stored.document.running is None:
            return hub, None, False
        drill = stored.document.running
        if drill.began is not None:
            return hub, drill, await self._turn_round(name, drill, operation, actor)
        ended = admission.journalist.clock.now()
        over = drill.revise(outcome=Outcome.CANCELLED, reason=f"cancelled by {actor}", ended=ended, waiting_for="")
        changes = Changes().unchanged(stored.key, stored).put(stored.key, stored.document.recorded(over))
        admission.journalist.add(changes, "drill.cancelled", f"by {actor}", hub=hub, actor=actor)
        await admission.register.commit(changes)
        return hub, over, True

    async def _turn_round(self, name: str, drill: Drill, operation: Stored[Operation], actor: str) -> bool:
        if operation.document.drill != drill.id or operation.document.source != drill.source:
            raise Refused(f"{name}: the drill is on its way back by itself", help=f"`fedctl watch {name}` follows it.")
        return (await self.orders.cancel(name, actor)).changed

    def _time(self, at: datetime | None, now: datetime) -> datetime:
        if at is None:
            return now
        if not now - SLACK <= at <= now + LONGEST_AHEAD:
            raise InvalidRequest(
                f"{_text(at)} is {'over' if at < now else 'too far ahead'}",
                help=f"A time within the next {LONGEST_AHEAD.days} days.",
            )
        return at

    def _refuse_unfit(self, name: str, record: ClassroomRecord, at: datetime, asked: DrillOrder) -> None:
        """By what its file says. The loop looks again when it is time: files change."""
        spec = record.classroom.spec
        objection = meets(spec, at)
        if objection and not asked.now:
            raise Refused(
                f"{name} cannot be rehearsed at {_text(at)}: {objection}",
                help=f"--at another time, outside meetings and not within {AHEAD_S / 60:.0f} min before one; or --now.",
            )
        if spec.placement.movable is Movable.NEVER and not asked.now:
            raise Refused(f"{name}: placement.movable is never", help="--now moves it all the same.")


def _same(running: Drill, asked: DrillOrder, now: datetime) -> bool:
    """The order whose answer was lost, once more."""
    at_once = running.at == running.ordered and now - running.ordered < AGAIN
    on_time = running.at == asked.at if asked.at is not None else at_once
    return on_time and (running.actor, running.now, running.anyway) == (asked.actor, asked.now, asked.anyway)


def unarmed_because(snapshot: Snapshot, hub: str, site: str) -> tuple[str, ...]:
    """Why the silence of the hub's site would not be enough to move it; empty: it is armed."""
    owned, wanted = snapshot.owned(site, hub), snapshot.wanted_mode(site, hub)
    if owned is not None and owned.may_be_taken_over:
        return ()
    if wanted is None:
        return ("nobody has looked at it yet",)
    return wanted.document.reasons or (f"{site} has not heard yet that it is armed",)


def _text(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")
