"""The fencer's work, tick by tick: read the lease file, end what has lapsed, say that it lives (PROTOCOL.md H13, H15).

Level-triggered: what must not run is looked for every second, for ever, so that a start which lands late is killed too.
The file is read again immediately before each kill. Nothing that fails here (a full disk, garbage in the file) stops the
enforcing; only the acknowledgement stops, and then the agent extends nothing. Blocking, standard library alone; files,
time and the means to kill are given, so that it also runs on virtual time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from agents.drivers.stopper import Stopper, Unseen
from federation.core.fencing import NO_EPOCH, NOTHING_YET, Fence, Reading, Verdict
from federation.core.lease_file import Pair

V = TypeVar("V")
MS = 1_000_000
TICK_NS = 150 * MS
ACK_NS = 420 * MS
LOOK_NS = 1000 * MS
STUCK_NS = 1000 * MS  # what survives SIGKILL for so long is said, and looked at less often
LATE_NS = 300_000 * MS  # how long a hub that left the file is still looked for after it was gone
SAY_NS = 10_000 * MS
EMPTY_LOOKS = 2  # one look can miss what forks in between
EDGE = ""


class LeasePort(Protocol):
    """The two files in the runtime directory."""

    def changed(self) -> bool:
        """Whether the lease file may differ from what `read` returned last. Cheap."""
        ...

    def read(self) -> bytes | None:
        """The lease file's content, or None if there is none that can be read."""
        ...

    def acknowledge(self, content: bytes) -> None:
        """Replace the acknowledgement. OSError if that is not possible, e.g. because the tmpfs is full."""
        ...


class Memory(Protocol):
    """What survives the boot of this machine, where hubs do."""

    def remember(self, names: frozenset[str]) -> None:
        """The hubs that are armed now. OSError if that is not possible."""
        ...


class Say(Protocol):
    """Writes a log line."""

    def __call__(self, event: str, /, **fields: object) -> None: ...


def newest_of(ack: bytes | None, boot_id: str) -> Pair:
    """From the acknowledgement that a fencer before this one has left: the newest lease file that one has taken."""
    try:
        body = json.loads(ack or b"")
        incarnation, seq = body["newest"]
        return (int(incarnation), int(seq)) if body["boot_id"] == boot_id else NOTHING_YET
    except (ValueError, KeyError, TypeError):
        return NOTHING_YET


@dataclass(slots=True)
class Case:
    """One hub that must not run."""

    first_kill_ns: int | None = None
    empty_looks: int = 0
    quiet_ns: int | None = None  # since when nothing of it was seen
    said_ns: int | None = None
    left: int = 0
    fenced: bool = False


@dataclass(slots=True)
class Guard(Generic[V]):
    """`tick` is to be called again after the returned ns."""

    fence: Fence
    lease: LeasePort
    stopper: Stopper[V]
    now_ns: Callable[[], int]
    say: Say
    boot_id: str
    pid: int
    memory: Memory | None = None
    _remembered: frozenset[str] | None = None
    _cases: dict[str, Case] = field(default_factory=dict)
    _reading: Reading = Reading.ACCEPTED
    _look_at_ns: int = 0
    _condemned: frozenset[str] = frozenset()
    _acked: tuple[object, ...] = ()
    _acked_ns: int | None = None
    _ack_fails: bool = False
    _unseen_said_ns: int | None = None

    def tick(self) -> int:
        """One round; returns ns until the next."""
        if self.lease.changed() or self._reading is Reading.TOO_FAR:
            self._read()
        now = self.now_ns()
        verdict = self.fence.verdict(now)
        if verdict.condemns:
            if now >= self._look_at_ns or not verdict.hubs.keys() <= self._condemned:
                self._look_at_ns = now + self._enforce(verdict)
            self._condemned = frozenset(verdict.hubs)
        for hub in [hub for hub in self._cases if not verdict.every_hub and hub not in verdict.hubs]:
            del self._cases[hub]
        self._acknowledge()
        wait = self._look_at_ns - self.now_ns() if verdict.condemns else TICK_NS
        return max(MS, min(TICK_NS, wait))

    def _read(self) -> None:
        reading = self.fence.take(self.lease.read(), self.now_ns())
        if reading is not self._reading and reading is not Reading.ACCEPTED:
            self.say("fencer.unread", why=reading.value)
        self._reading = reading
        self._remember()

    def _remember(self) -> None:
        """Before it is acknowledged: what is armed on a word that nobody would remember could not be ended after a boot."""
        if self.memory is None or self._reading is not Reading.ACCEPTED or self._remembered == self.fence.armed:
            return
        try:
            self.memory.remember(self.fence.armed)
        except OSError as error:
            if self._remembered is not None:
                self.say("fencer.not_remembered", error=error.strerror or str(error))
            self._remembered = None
        else:
            self._remembered = self.fence.armed

    def _enforce(self, verdict: Verdict) -> int:
        """One look and, where something lives, one kill; returns ns until the next look."""
        try:
            seen = self.stopper.look(verdict)
        except Unseen as why:
            self._say_unseen(why.message)
            return self.stopper.press_ns
        self._unseen_said_ns = None
        for hub, victims in seen.hubs.items():
            self._press(hub, victims)
        if seen.edge:
            self._read()
            if self.fence.verdict(self.now_ns()).edge_before is not None:
                self.stopper.kill(EDGE, seen.edge)
                self.say("fencer.edge_ended", at_ns=self.now_ns(), processes=len(seen.edge))
        now = self.now_ns()
        for hub in [*verdict.hubs, *(set(self._cases) - verdict.hubs.keys())]:
            if not seen.hubs.get(hub):
                self._quiet(hub, verdict.hubs.get(hub, NO_EPOCH), now)
        busy = any(self._is_busy(case, now) for case in self._cases.values())
        return self.stopper.press_ns if busy else LOOK_NS

    def _say_unseen(self, why: str) -> None:
        """Once, and again every few seconds while it lasts."""
        now = self.now_ns()
        if self._unseen_said_ns is None or now - self._unseen_said_ns > SAY_NS:
            self._unseen_said_ns = now
            self.say("fencer.unseen", why=why)

    def _press(self, hub: str, victims: Sequence[V]) -> None:
        self._read()
        now = self.now_ns()
        verdict = self.fence.verdict(now)
        if hub not in verdict.hubs and not verdict.every_hub:
            return
        self.stopper.kill(hub, victims)
        case = self._cases.setdefault(hub, Case())
        case.empty_looks, case.quiet_ns, case.left, case.fenced = 0, None, len(victims), False
        if case.first_kill_ns is None:
            case.first_kill_ns = now
        stuck = now - case.first_kill_ns > STUCK_NS
        if stuck and (case.said_ns is None or now - case.said_ns > SAY_NS):
            case.said_ns = now
            self.say("fencer.left", hub=hub, processes=len(victims), seen=[str(one) for one in victims[:10]])

    def _quiet(self, hub: str, epoch: tuple[int, int], now: int) -> None:
        case = self._cases.setdefault(hub, Case())
        case.empty_looks += 1
        case.left = 0
        if case.empty_looks < EMPTY_LOOKS:
            return
        if case.first_kill_ns is not None:
            case.first_kill_ns, case.said_ns, case.fenced = None, None, True
            self.say("history.fenced", hub=hub, epoch=f"{epoch[0]}.{epoch[1]}", at_ns=now)
        if case.quiet_ns is None:
            case.quiet_ns = now
        elif now - case.quiet_ns > LATE_NS and self.fence.has_parted(hub):
            self.fence.forget(hub)

    @staticmethod
    def _is_busy(case: Case, now: int) -> bool:
        stuck = case.left and case.first_kill_ns is not None and now - case.first_kill_ns > STUCK_NS
        return case.empty_looks < EMPTY_LOOKS and not stuck

    def _acknowledge(self) -> None:
        """At once when there is news, else every 0.4 s: the agent extends nothing on an answer older than 2 s."""
        killed = sorted(hub for hub, case in self._cases.items() if case.fenced)
        left = {hub: case.left for hub, case in sorted(self._cases.items()) if case.left}
        blind = self.stopper.trouble()
        news = (self.fence.order, killed, left, blind)
        now = self.now_ns()
        if news == self._acked and self._acked_ns is not None and now - self._acked_ns < ACK_NS:
            return
        if self.memory is not None and self._remembered is None:
            self._remember()
            if self._remembered is None:
                return
        incarnation, seq = self.fence.order
        body = {"boot_id": self.boot_id, "incarnation": incarnation, "seq": seq, "at": now, "pid": self.pid}
        body |= {"newest": self.fence.newest, "blind": blind}
        self._acked, self._acked_ns = news, now
        try:
            self.lease.acknowledge(json.dumps({**body, "killed": killed, "left": left}).encode())
        except OSError as error:
            if not self._ack_fails:
                self.say("fencer.ack_failed", error=error.strerror or str(error))
            self._ack_fails = True
        else:
            self._ack_fails = False
