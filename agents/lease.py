"""What the site holds, and the lease file that the edge and the fencer read (PROTOCOL.md section 4).

Order on a grant: journal, lease file, memory. What is taken away leaves the file and the memory first, so that a disk
that takes no more writes cannot keep a gate open. The file lies on tmpfs and counts in CLOCK_BOOTTIME with the boot's id:
on a disk, a reboot would make an old deadline look days ahead. A standing hub's entry has no deadline in this boot; an
armed one ends D after the *send* of the newest renewal that was answered, or of the newest round in which all peers
promised (`extend`), and only while the fencer keeps answering.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from agents.fencer_ack import FencerAcks
from agents.journal import Journal
from agents.promises import Promises
from agents.written_file import WrittenFile
from federation.core.holding import (
    Answer,
    Granted,
    Held,
    Holding,
    Known,
    Terms,
    armed_since,
    believed,
    fault_of,
    judge,
    refusal,
)
from federation.model.identity import Epoch, Member
from federation.model.ownership import Mode
from federation.model.profile import Profile
from federation.model.promise import Wait, restarted
from federation.runtime.clock import Clock
from federation.runtime.disk import Disk

log = structlog.get_logger(__name__)

MARK_EVERY = 500  # revisions between two writes of the register mark alone
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Fencing:
    """What arming needs of the site. `unproven`: why gate and fencer are not to be relied on; empty: they were proven."""

    profile: Profile
    acks: FencerAcks
    unproven: Callable[[], str]

    def objection(self) -> str:
        """Why hubs of this site must not be armed now; empty: they may."""
        ack = self.acks.newest()
        if ack is None:
            return "the fencer of the site does not answer"
        if ack.blind:
            return f"the fencer of the site can end nothing: {ack.blind}"
        return self.unproven()


class SiteLease:
    """The one place that knows what may run here. `process` is called with each answer to a renewal."""

    def __init__(self, path: Path, disk: Disk, journal: Journal, clock: Clock, fencing: Fencing) -> None:
        self.file = WrittenFile(path, disk)
        self._fencing = fencing
        self._sent_ns: dict[int, int] = {}  # seq -> when the renewal left
        self._armed_from = 0  # seq of the answer since which something has been armed without a break
        self._found = (0, 0)  # (incarnation, seq) that was there before: a file with a lower one would not be believed
        self._journal = journal
        self._clock = clock
        self.promises = Promises(journal, clock, fencing.profile)
        self._quarantine = self._restarted(journal.record.quarantine)
        self._ended: dict[str, Epoch] = {}  # evidence that the disk would not take yet
        self._newest_revision = journal.record.revision
        self.found: dict[str, Epoch] = {}  # runs here and is not held, e.g. after the lease file was lost
        self.held: Mapping[str, Held] = self._adopt()
        self.seq = 0  # of the newest request of this incarnation
        self.heard = 0  # seq of the newest answer that was processed
        self._canary: Mapping[str, Mapping[str, object]] = {}
        self._granted = 0  # seq of the newest one that granted something
        self.problems: tuple[str, ...] = ()
        self.granted_mono: float | None = None
        if self.file.read() is not None:
            self._write_file(self.held, self.heard)  # what was not adopted closes at once

    @property
    def ended(self) -> Mapping[str, Epoch]:
        """Hubs that must not run here any more, by positive evidence."""
        return {**self._journal.record.ended, **self._ended}

    def claims(self) -> dict[str, Epoch]:
        """Every hub that the site says it may run, or finds running: the answer says what is to become of it."""
        return {**self.found, **self._journal.record.accepted, **{hub: held.epoch for hub, held in self.held.items()}}

    def known(self) -> Known:
        """What the journal says, and evidence that the disk would not take yet."""
        return replace(self._journal.record.known(), revision=self._newest_revision, ended=self.ended)

    def waits(self, hub: str) -> str:
        """Why a hub that was granted is not taken up yet; empty: it is, or was not granted."""
        return self.promises.blocked().get(hub, "") if self.waiting(hub) is not None else ""

    def waiting(self, hub: str) -> Epoch | None:
        """The epoch at which a hub was granted that is not taken up yet."""
        accepted = self._journal.record.accepted.get(hub)
        if accepted is None or hub in self.held or refusal(hub, accepted, self.known()):
            return None
        return accepted

    def unfit(self) -> str:
        """Why this site may promise nothing to its peers; empty: it may (H9)."""
        if self._journal.record.register_id is None:
            return "it has not read the register since its journal began"
        if self._in_quarantine():
            return "its journal was lost, and what was in it may still be in force"
        return ""

    def conclude(self, hub: str, epoch: Epoch) -> None:
        """The leader says that the ownership ended at `epoch`, and nothing of the hub is held or runs here: no older
        grant that is still on its way may open it again. Unavailable if the journal cannot be written."""
        if hub not in self.held and self.ended.get(hub, Epoch(era=0, n=0)) < epoch:
            self._journal.write(ended={**self.ended, hub: epoch})

    def release(self, hub: str, epoch: Epoch) -> None:
        """Give the hub up for ever at this epoch, after it was stopped for a planned move: on disk, then out of the lease
        file, so that neither grants nor promises that are still on their way open it (H8). Unavailable: not given up."""
        record = self._journal.record
        accepted = {known: at for known, at in record.accepted.items() if known != hub}
        self._journal.write(released={**record.released, hub: epoch}, accepted=accepted)
        kept = {known: held for known, held in self.held.items() if known != hub}
        self._record_history(kept)
        self._write_file(kept, self.heard)
        self.held = kept

    def released(self, hub: str) -> Epoch | None:
        """The newest epoch that was given up."""
        return self._journal.record.released.get(hub)

    def next_seq(self) -> int:
        """Each attempt takes a new number, also a retry: a conflict is never with oneself (H14). What is granted counts
        from here."""
        self.seq += 1
        self._sent_ns[self.seq] = self._clock.boottime_ns()
        return self.seq

    def fenced(self) -> int:
        """Seq of the newest grant whose deadlines the fencer of this site has taken: what is not fenced must not be moved,
        so that an armed grant counts only from there (H15 c). "Not granted" says nothing of deadlines. 0: none."""
        ack = self._fencing.acks.newest()
        mine = ack is not None and ack.incarnation == self._journal.record.incarnation
        return min(self._granted, ack.seq) if ack is not None and mine else 0

    def not_armable(self) -> str:
        """Why hubs of this site must not be armed now; empty: they may. While the journal is in quarantine a hub may run
        here that is not held: no deadline in the lease file would end it."""
        if self._in_quarantine():
            return "the journal of the site was lost a moment ago: what runs there may not be held yet"
        return self._fencing.objection()

    def quarantine(self) -> None:
        """The journal was lost: nothing new is opened for L, by when whatever it said is over (H9). In the new journal
        before anything else: a restart must not end it."""
        until_ns = self._clock.boottime_ns() + int(self._fencing.profile.takeover_s * NS)
        wait = Wait(boot_id=self._clock.boot_id(), until_ns=until_ns)
        self._journal.write(quarantine=wait)
        self._quarantine = wait
        log.warning("lease.quarantine", seconds=self._fencing.profile.takeover_s)

    def _restarted(self, wait: Wait | None) -> Wait | None:
        whole_ns = int(self._fencing.profile.takeover_s * NS)
        return restarted(wait, self._clock.boot_id(), self._clock.boottime_ns(), whole_ns) if wait is not None else None

    def _in_quarantine(self) -> bool:
        wait = self._quarantine
        return wait is not None and wait.runs(self._clock.boot_id(), self._clock.boottime_ns())

    def lapsed(self, hub: str) -> bool:
        """Whether the hub is held and its time is over."""
        held = self.held.get(hub)
        return held is not None and held.lapsed(self._clock.boottime_ns())

    def next_lapse_s(self) -> float | None:
        """Seconds until the first armed hub that is not over yet will be; None: none is armed."""
        now_ns = self._clock.boottime_ns()
        coming = [h.close_at_ns - now_ns for h in self.held.values() if h.close_at_ns is not None]
        return min((ns / NS for ns in coming if ns > 0), default=None)

    def process(self, answer: Answer, members: tuple[int, tuple[Member, ...]]) -> bool:
        """Take an answer; True if what is held or ended changed. Unavailable if the journal cannot be written: what
        was taken away is gone all the same, nothing new is opened, and the rest goes on."""
        known = self.known()
        answer = replace(answer, sent_ns=self._sent_ns.get(answer.seq, 0))
        holding = judge(answer, self.heard, self.held, known, self._terms())
        self.problems = holding.problems
        if not holding.heard:
            if fault_of(answer, known):
                log.error("register.fault", problem=holding.problems[0])
            return False
        again = any(self.lapsed(hub) and held != self.held.get(hub) for hub, held in holding.held.items())
        changed = again or _granted(holding.held) != _granted(self.held)
        record = self._journal.record
        changed = changed or (holding.ended, holding.accepted) != (record.ended, record.accepted)
        self._take_away(holding)
        self._write_journal(answer, holding, members, changed)
        new_era = known.register is not None and answer.register != known.register
        self._newest_revision = answer.revision if new_era else max(self._newest_revision, answer.revision)
        if changed:
            self._record_history(holding.held)
        self._write_file(holding.held, answer.seq)
        self.held = holding.held
        self._ended.clear()
        self.heard = answer.seq
        self._sent_ns = {seq: at for seq, at in self._sent_ns.items() if seq > answer.seq}
        armed = any(held.mode is Mode.ARMED for held in self.held.values())
        self._armed_from = (self._armed_from or answer.seq) if armed else 0
        if answer.granted:
            self._granted = answer.seq
            self.granted_mono = self._clock.mono()
        return changed

    def _terms(self) -> Terms:
        profile, ack = self._fencing.profile, self._fencing.acks.newest()
        mine = ack is not None and ack.incarnation == self._journal.record.incarnation
        return Terms(
            contact_ns=int(profile.contact_s * NS),
            fence_ns=int(profile.fence_s * NS),
            extend=ack is not None and (self._armed_from == 0 or (mine and ack.seq >= self._armed_from)),
            open_new=not self._in_quarantine(),
            promised=self.promises.blocked(),
        )

    def extend(self, hubs: Mapping[str, Epoch], sent_ns: int) -> bool:
        """Every peer has promised these hubs in the round that was sent at `sent_ns`: as a grant would, but it takes
        nothing away and shortens nothing. True if something opens (again). Unavailable if the journal cannot be written."""
        terms, now_ns = self._terms(), self._clock.boottime_ns()
        held = dict(self.held)
        for hub, epoch in hubs.items():
            before, kept = held.get(hub), terms.held(Granted(epoch, Mode.ARMED), sent_ns)
            same = before is not None and before.epoch == epoch
            longer = not same or before is None or (before.close_at_ns or now_ns) < (kept.close_at_ns or 0)
            if terms.extend and longer and not kept.lapsed(now_ns) and (same or terms.open_new):
                held[hub] = kept
        opens = any(hub not in self.held or self.lapsed(hub) for hub, now in held.items() if now != self.held.get(hub))
        if held == self.held:
            return False
        record = self._journal.record
        floor = {**record.floor, **{hub: h.epoch for hub, h in held.items()}}
        self._journal.write(floor=floor, armed=armed_since(record.armed, held))
        self._record_history(held)
        self._write_file(held, self.heard)
        self.held = held
        return opens

    def _take_away(self, holding: Holding) -> None:
        kept = {hub: held for hub, held in self.held.items() if hub in holding.held}
        if len(kept) < len(self.held):
            self._record_history(kept)
            self._write_file(kept, self.heard)
            self.held = kept
        news = {hub: epoch for hub, epoch in holding.ended.items() if self.ended.get(hub) != epoch}
        self._ended.update(news)

    def _write_journal(
        self,
        answer: Answer,
        holding: Holding,
        members: tuple[int, tuple[Member, ...]],
        changed: bool,
    ) -> None:
        record = self._journal.record
        version, known_members = members
        newer_members = version > record.members_version and known_members
        new_era = answer.register != record.register_id
        far = answer.revision >= record.revision + MARK_EVERY
        armed = armed_since(record.armed, holding.held)
        if not (changed or newer_members or new_era or far or armed != record.armed):
            return
        self._journal.write(
            register_id=answer.register,
            revision=answer.revision if new_era else max(record.revision, answer.revision),
            floor={**record.floor, **{hub: held.epoch for hub, held in holding.held.items()}},
            accepted=dict(holding.accepted),
            ended=dict(holding.ended),
            armed=armed,
            members_version=version if newer_members else record.members_version,
            members=known_members if newer_members else record.members,
        )

    def _record_history(self, held: Mapping[str, Held]) -> None:
        """One line per change of permission; the history checker of the tests reads them."""
        at = self._clock.boottime_ns()
        for hub, now in held.items():
            before = self.held.get(hub)
            if before is None or before.granted != now.granted:
                log.info("history.grant", hub=hub, epoch=str(now.epoch), mode=now.mode.value, at_ns=at)
        for hub, before in self.held.items():
            if hub not in held:
                log.info("history.revoke", hub=hub, epoch=str(before.epoch), at_ns=at)

    def set_canary(self, entry: Mapping[str, Mapping[str, object]] | None) -> None:
        """Put the entry of the site's canary, {hub: {"epoch", "close_at", "stop_by"}}, into the lease file at once, beside
        what is held, or (None) take it out again. It is never held and never granted. Unavailable: not written."""
        self._canary = entry or {}
        self._write_file(self.held, self.heard)

    @property
    def last_incarnation(self) -> int:
        """The highest that is known here: the next one must be above it, also where the journal was lost or is new."""
        return max(self._journal.record.incarnation, self._found[0])

    def _write_file(self, held: Mapping[str, Held], seq: int) -> None:
        """Never with a number below one that was there: an agent that has not said hello yet speaks with the incarnation of
        the one before it, and one without a journal with none."""
        hubs = {
            hub: {"epoch": [h.epoch.era, h.epoch.n], "close_at": h.close_at_ns, "stop_by": h.stop_by_ns}
            for hub, h in held.items()
        }
        incarnation, seq = max((self._journal.record.incarnation, seq), self._found)
        content = {
            "boot_id": self._clock.boot_id(),
            "incarnation": incarnation,
            "seq": seq,
            "hubs": {**self._canary, **hubs},
        }
        self.file.replace(json.dumps(content).encode())

    def _adopt(self) -> dict[str, Held]:
        """Same boot and a readable file: hubs go on from where the earlier agent left them, armed ones until their old
        deadline; those whose time is over are held too, so that they are stopped. A file may be an old one that somebody
        put back: the journal and the fencer's word say what it is worth."""
        ack, last = self._fencing.acks.newest(), self._fencing.acks.last()
        self._found = last.newest if last is not None else self._found
        content = self.file.read()
        if content is None:
            return {}
        try:
            body = json.loads(content)
            if body["boot_id"] != self._clock.boot_id():
                return {}
            order = (int(body["incarnation"]), int(body["seq"]))
            older, self._found = ack is not None and order < ack.order, max(order, self._found)
            found = {
                hub: Held(Epoch(era=entry["epoch"][0], n=entry["epoch"][1]), entry["close_at"], entry["stop_by"])
                for hub, entry in body["hubs"].items()
            }
        except (ValueError, KeyError, TypeError, IndexError) as error:
            log.warning("lease.unreadable", path=str(self.file.path), error=str(error))
            return {}
        record, now_ns = self._journal.record, self._clock.boottime_ns()
        worth = {
            hub: believed(hub, held, record.known(), record.armed, older=older, now_ns=now_ns)
            for hub, held in found.items()
        }
        return {hub: held for hub, held in worth.items() if held is not None}


def _granted(held: Mapping[str, Held]) -> dict[str, Granted]:
    return {hub: one.granted for hub, one in held.items()}
