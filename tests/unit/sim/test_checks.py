"""Each checker of simulated histories finds what is planted, and finds nothing in a history that is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.sim.checks import (
    arming,
    counts,
    epochs,
    homes,
    liveness,
    one_copy,
    outage,
    permission,
    promises,
    renewals,
    stops,
    takeovers,
)
from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import (
    ARMED,
    Acked,
    Answered,
    Calm,
    Elected,
    Event,
    FencerStarted,
    FileLost,
    Gate,
    Grant,
    History,
    Hub,
    Journaled,
    Leased,
    LeaseFile,
    LeasesRead,
    Left,
    MachinePause,
    NameWritten,
    Operation,
    Owner,
    Rebooted,
    RenewalSent,
    Run,
    Started,
    StopBegun,
    TakenOver,
    Times,
    WentOn,
    Wish,
)
from tests.support.sim.history_homes import Copied, NotBack, Recorded, Restored, SeenHomes, Worked
from tests.support.sim.history_promises import Promised, PromiseHeard, RegisterAway, RoundBegun

E1, E2 = (1, 1), (1, 2)
LAB = Times(contact_s=5, fence_s=4, fencer_s=3, takeover_s=15, renew_s=1)


def history(*events: Event, ended: bool = True) -> History:
    return History(LAB, sorted(events, key=lambda event: event.at), ended)


def gate(at: float, site: str, opened: bool, epoch: Any = E1) -> Gate:
    return Gate(at, site, "h1", epoch, opened, own_s=at)


def hub(at: float, site: str, up: bool, cause: str = "start", epoch: Any = E1) -> Hub:
    return Hub(at, site, "h1", epoch, up, cause, own_s=at)


def takeover(**changed: Any) -> TakenOver:
    fields: dict[str, Any] = {
        "at": 30.0, "by": "c1", "hub": "h1", "source": "iu", "target": "tacc", "epoch": E2, "sent_s": 30.0, "counted": 7,
        "lease": 7, "heard": True, "target_lease_s": 0.5, "members_ack": 2, "target_since": 2,
    }  # fmt: skip
    return TakenOver(**{**fields, **changed})


def reads(until: float, step: float = 0.5, start: float = 10.0) -> list[LeasesRead]:
    """c1 looks twice a second; iu's lease stays at 7, tacc's is new each time."""
    count = int((until - start) / step) + 1
    times = [start + n * step for n in range(count)]
    return [LeasesRead(at, "c1", at, at, {"iu": 7, "tacc": 100 + n}) for n, at in enumerate(times)]


ELECTED = Elected(9.0, "c1", 9.0)
RENEWED = [
    RenewalSent(1.0, "iu", 1, 1, own_s=1.0),
    Answered(1.1, "iu", 1, 1, True, {"h1": Grant(E1, ARMED)}, {}),
    LeaseFile(1.1, "iu", 1.1, 1, 1, {"h1": (E1, 6.0, 10.0)}),
]
HEARD = Run(2.0, "iu", "h1", E1, armed=True, heard=True, since=(1, 1))

IU, TACC, PSU = ("iu", "u-iu"), ("tacc", "u-tacc"), ("psu", "u-psu")
ASKED = [
    Journaled(1, "iu", {"h1": E1}, {}, accepted={"h1": E1}, members=frozenset({IU, TACC, PSU})),
    RoundBegun(2.0, "iu", 77, own_s=2.0, hubs={"h1": E1}),
    Promised(2.1, "tacc", 2.1, "iu", "h1", E1, yes=True),
    PromiseHeard(2.2, "iu", TACC, 77, frozenset({"h1"})),
]
PSU_TOO = PromiseHeard(2.3, "iu", PSU, 77, frozenset({"h1"}))
EXTENDED = LeaseFile(2.4, "iu", 2.4, 1, 1, {"h1": (E1, 7.0, 11.0)})
OWNED = Owner(0.5, "h1", "iu", E1, False, 3)


def worked(at: float, work: int, site: str = "iu", epoch: Any = E1) -> Worked:
    return Worked(at, site, "h1", epoch, work)


def copied(at: float, name: str, *works: int, site: str = "iu", epoch: Any = E1) -> list[Event]:
    """A copy, and the home index that names it."""
    return [Copied(at, site, "h1", epoch, name, frozenset(works)), Recorded(at, "h1", site, epoch, name)]


def let_in(at: float, *works: int, site: str = "tacc", epoch: Any = E2) -> SeenHomes:
    return SeenHomes(at, site, "h1", epoch, frozenset(works))


WORKED = [OWNED, worked(1, 1), *copied(2, "a", 1)]
MOVED = [takeover(at=20.0), Owner(20.0, "h1", "tacc", E2, False, 9)]

RIGHT: dict[str, tuple[Callable[[History], Verdict], list[Event]]] = {
    "served, stopped, taken over, served": (
        one_copy.check,
        [hub(1, "iu", True), gate(2, "iu", True), gate(6, "iu", False), hub(8, "iu", False), takeover(at=17.0),
         hub(18, "tacc", True, epoch=E2), gate(19, "tacc", True, E2)],
    ),
    "a start that its agent hung in the middle of, ended within W": (
        one_copy.check,
        [takeover(at=17.0), hub(18, "tacc", True, epoch=E2), WentOn(20, "agent-iu"), hub(20.1, "iu", True),
         hub(21, "iu", False, "fenced")],
    ),
    "it comes back to where it was": (
        one_copy.check,
        [takeover(at=1.0), Owner(5.0, "h1", "iu", (1, 3), False, 9), hub(6, "iu", True), gate(7, "iu", True)],
    ),
    "epochs rise": (
        epochs.check,
        [Owner(1, "h1", "iu", E1, False, 1), Owner(2, "h1", "tacc", E2, False, 2), NameWritten(1, "n", "h1", E1, "iu"),
         NameWritten(3, "n", "h1", E2, "tacc"), Journaled(1, "iu", {"h1": E1}, {}), Journaled(2, "iu", {"h1": E2}, {})],
    ),
    "open until send + D": (permission.check, [*RENEWED, gate(1.2, "iu", True), HEARD, gate(6.0, "iu", False)]),
    "written again after a loss, above all that the fencer has taken": (
        permission.check,
        [LeaseFile(2, "iu", 2.0, 1, 3, {}), Acked(2.2, "iu", (1, 2)), FileLost(3, "iu"), LeaseFile(4, "iu", 4.0, 1, 2, {}),
         LeaseFile(5, "iu", 5.0, 1, 2, {})],
    ),
    "ended by a fencer that hung while it stood, and that finds it gone from the file": (
        stops.check,
        [*RENEWED, Acked(1.2, "iu", (1, 1)), LeaseFile(3, "iu", 3.0, 1, 2, {"h1": (E1, None, None)}),
         LeaseFile(9, "iu", 9.0, 1, 3, {}), hub(10.5, "iu", False, "fenced"), Acked(10.5, "iu", (1, 3))],
    ),
    "opened again after a boot of a machine whose disk had not taken the evidence": (
        permission.check,
        [*RENEWED, Answered(3, "iu", 1, 2, True, {}, {"h1": E2}), Rebooted(4, "iu"),
         RenewalSent(5.0, "iu", 2, 1, own_s=5.0),
         Answered(5.1, "iu", 2, 1, True, {"h1": Grant(E1, ARMED)}, {}), gate(5.2, "iu", True)],
    ),
    "renewals in order": (
        renewals.check,
        [Started(0, "iu", 1), Leased(1, "iu", 1, 1, 0, 5), Leased(2, "iu", 1, 2, 1, 6),
         Leased(3, "iu", 1, 9, 1, 7, deaf=True)],
    ),
    "heard after the fencer": (
        arming.check,
        [Run(1.05, "iu", "h1", E1, armed=True, since=(1, 1)), *RENEWED, Acked(1.3, "iu", (1, 1)), HEARD],
    ),
    "after L": (takeovers.check, [ELECTED, *reads(29.5), takeover()]),
    "stopped when its time was over": (stops.check, [*RENEWED, StopBegun(6.1, "iu", "h1", E1, own_s=6.1)]),
    "a fencer that knows nothing": (
        stops.check,
        [*RENEWED, FileLost(2, "iu"), FencerStarted(3, "iu", 3.0), hub(5.5, "iu", False, "fenced")],
    ),
    "all have promised in one round": (promises.check, [*ASKED, PSU_TOO, EXTENDED]),
    "started when the promise was over": (promises.check, [*ASKED, hub(17.2, "tacc", True, epoch=E2)]),
    "a new ownership at a higher epoch may be promised": (
        promises.check,
        [Journaled(1, "tacc", {}, {}, accepted={"h1": E1}), Promised(2, "tacc", 2.0, "iu", "h1", E2, yes=True)],
    ),
    "a deadline by promises": (
        permission.check, [*RENEWED, *ASKED, PSU_TOO, EXTENDED, gate(2.5, "iu", True), HEARD, gate(7.0, "iu", False)]),
    "taken over while promises keep it": (
        one_copy.check,
        [hub(1, "iu", True), gate(1, "iu", True), *ASKED, EXTENDED, takeover(at=3.0), gate(7, "iu", False),
         hub(8, "iu", False), hub(18, "tacc", True, epoch=E2)],
    ),
    "the copy on record is restored, and the rest comes back": (
        homes.check, [*WORKED, worked(3, 2), *MOVED, Restored(21, "tacc", "h1", E2, "a"), let_in(22, 1)]),
    "work of a site that lost the hub is unsent": (
        homes.check, [*WORKED, *MOVED, worked(20.5, 2), let_in(22, 1)]),
    "records form a chain": (
        homes.check, [*WORKED, *MOVED, worked(23, 2, "tacc", E2), *copied(24, "b", 1, 2, site="tacc", epoch=E2)]),
    "an outage stops nothing": (outage.check, [gate(1, "iu", True), RegisterAway(2), Calm(90), gate(91, "iu", False)]),
    "calm": (liveness.check, [Calm(1), gate(20, "iu", True), Wish(30, "iu", "h1", ARMED)]),
    "moved": (liveness.check, [Calm(1), Operation(2, "h1", "move", "stopped"), gate(62, "iu", True)]),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_history_passes(name: str) -> None:
    check, events = RIGHT[name]
    verdict = check(history(*events))
    assert verdict.violations == []
    assert verdict.holds is True


PLANTED: dict[str, tuple[Callable[[History], Verdict], list[Event]]] = {
    "served at iu at (1, 1) and at tacc": (one_copy.check, [gate(1, "tacc", True, E2), gate(2, "iu", True)]),
    "running at tacc at (1, 2) and at iu": (one_copy.check, [hub(1, "iu", True), hub(2, "tacc", True, epoch=E2)]),
    "while it was still served there": (one_copy.check, [gate(1, "iu", True), takeover(at=2.0)]),
    "while it was still running there": (one_copy.check, [hub(1, "iu", True), takeover(at=2.0)]),
    "running at iu at (1, 1) and at tacc": (
        one_copy.check,
        [takeover(at=17.0), hub(18, "tacc", True, epoch=E2), WentOn(20, "agent-iu"), hub(20.1, "iu", True),
         hub(23.5, "iu", False, "fenced")]),
    "running at iu after it was taken over": (one_copy.check, [takeover(at=1.0), hub(2, "iu", True)]),
    "tacc owns it at (1, 1), iu did": (
        epochs.check, [Owner(1, "h1", "iu", E1, False, 1), Owner(2, "h1", "tacc", E1, False, 2)]),
    "nobody owns it at (1, 1)": (
        epochs.check, [Owner(1, "h1", "iu", E2, False, 1), Owner(2, "h1", "", E1, True, 2)]),
    "n was at (1, 2) and is at (1, 1)": (
        epochs.check, [NameWritten(1, "n", "h1", E2, "tacc"), NameWritten(2, "n", "h1", E1, "iu")]),
    "floor fell": (epochs.check, [Journaled(1, "iu", {"h1": E2}, {}), Journaled(2, "iu", {"h1": E1}, {})]),
    "without a grant": (permission.check, [gate(1, "iu", True)]),
    "opened (1, 1) without a grant": (permission.check, [*RENEWED, Rebooted(1.5, "iu"), gate(2, "iu", True)]),
    "iu opened (1, 1) after it heard of (1, 2)": (
        permission.check,
        [*RENEWED, Answered(3, "iu", 1, 2, True, {}, {"h1": E2}), Journaled(3, "iu", {}, {"h1": E2}), Rebooted(4, "iu"),
         RenewalSent(5.0, "iu", 2, 1, own_s=5.0), Answered(5.1, "iu", 2, 1, True, {"h1": Grant(E1, ARMED)}, {}),
         gate(5.2, "iu", True)]),
    "after it heard of (1, 2)": (
        permission.check, [*RENEWED, Answered(3, "iu", 1, 2, True, {}, {"h1": E2}), gate(4, "iu", True)]),
    "after the send of the newest armed grant": (
        permission.check, [*RENEWED, HEARD, gate(1.2, "iu", True), gate(6.5, "iu", False)]),
    "no armed grant gave": (
        permission.check, [*RENEWED, LeaseFile(2, "iu", 2.0, 1, 2, {"h1": (E1, 6.1, 10.1)})]),
    "longer than F": (permission.check, [*RENEWED, LeaseFile(2, "iu", 2.0, 1, 2, {"h1": (E1, 6.0, 11.0)})]),
    "went back from (1, 2) to (1, 1)": (
        permission.check, [LeaseFile(2, "iu", 2.0, 1, 2, {}), LeaseFile(3, "iu", 3.0, 1, 1, {})]),
    "went back from (1, 3) to (1, 2)": (
        permission.check,
        [LeaseFile(2, "iu", 2.0, 1, 3, {}), Acked(2.2, "iu", (1, 3)), FileLost(3, "iu"),
         LeaseFile(4, "iu", 4.0, 1, 2, {})]),
    "has a hub that ended": (
        permission.check,
        [*RENEWED, Answered(3, "iu", 1, 2, True, {}, {"h1": E2}), LeaseFile(3, "iu", 3.0, 1, 2, {"h1": (E1, 6.0, 10.0)})]),
    "incarnation 1 renewed after 2": (renewals.check, [Started(1, "iu", 2), Leased(2, "iu", 1, 9, 8, 5)]),
    "came after": (renewals.check, [Leased(1, "iu", 1, 2, 1, 5), Leased(2, "iu", 1, 2, 1, 6)]),
    "the newest answer that it heard is 1": (renewals.check, [Leased(1, "iu", 1, 7, 1, 5)]),
    "by a write that is no renewal": (
        arming.check, [Run(1, "iu", "h1", E1, armed=True, since=(1, 1), renewed=False)]),
    "its fencer has not": (arming.check, [*RENEWED, HEARD]),
    "and its fencer has not": (
        arming.check,
        [LeaseFile(1, "iu", 1.0, 1, 1, {"h1": (E1, None, None)}), Acked(1.2, "iu", (1, 1)), HEARD]),
    "lease 6, iu's lease is 7": (takeovers.check, [ELECTED, *reads(29.5), takeover(counted=6)]),
    "compared lease 0": (takeovers.check, [ELECTED, *reads(29.5), takeover(counted=0)]),
    "4.00 s after its first sight": (takeovers.check, [ELECTED, *reads(13.5), takeover(at=14.0, sent_s=14.0)]),
    "10.00 s after its first sight": (
        takeovers.check, [ELECTED, *reads(18.0), *reads(29.5, start=20.0), takeover()]),
    "12.00 s after its first sight": (
        takeovers.check, [ELECTED, *reads(17.5), Elected(17.9, "c1", 17.9), *reads(29.5, start=18.0), takeover()]),
    "has not said that it heard": (takeovers.check, [ELECTED, *reads(29.5), takeover(heard=False)]),
    "does not know tacc": (takeovers.check, [ELECTED, *reads(29.5), takeover(members_ack=1)]),
    "the target psu was heard never": (takeovers.check, [ELECTED, *reads(29.5), takeover(target="psu")]),
    "while iu and psu were silent": (
        takeovers.check,
        [ELECTED, Owner(1, "h1", "iu", E1, False, 1), Owner(1, "h2", "psu", E1, False, 2),
         *(LeasesRead(r.at, "c1", r.sent_s, r.own_s, {**r.revisions, "psu": 3}) for r in reads(29.5)), takeover()]),
    "its permission has no deadline": (
        stops.check,
        [*RENEWED, Acked(1.2, "iu", (1, 1)), LeaseFile(3, "iu", 3.0, 1, 2, {"h1": (E1, None, None)}),
         hub(10.5, "iu", False, "fenced")]),
    "was good for 2.0 s more": (stops.check, [*RENEWED, StopBegun(4, "iu", "h1", E1, own_s=4.0)]),
    "has no deadline": (
        stops.check, [LeaseFile(1, "iu", 1.0, 1, 1, {"h1": (E1, None, None)}), hub(3, "iu", False, "fenced")]),
    "iu ended it (fenced)": (
        stops.check, [*RENEWED, FileLost(2, "iu"), Acked(1.2, "iu", (1, 1)), hub(3, "iu", False, "fenced")]),
    "and had accepted (1, 1)": (
        promises.check,
        [Journaled(1, "tacc", {}, {}, accepted={"h1": E1}), Promised(2, "tacc", 2.0, "iu", "h1", E1, yes=True)]),
    "while it ran (1, 2)": (
        promises.check, [hub(1, "tacc", True, epoch=E2), Promised(2, "tacc", 2.0, "iu", "h1", E1, yes=True)]),
    "tacc started (1, 2) with 7.10 s of its promise left": (
        promises.check, [*ASKED, hub(10, "tacc", True, epoch=E2)]),
    "tacc opened (1, 2) with 7.10 s of its promise left": (promises.check, [*ASKED, gate(10, "tacc", True, E2)]),
    "tacc started (1, 2) with 13.00 s of its promise left": (  # a boot, whose clock begins anew, makes it whole again
        promises.check,
        [*ASKED, Rebooted(10, "tacc", 10.0), Journaled(11, "tacc", {}, {}, lost=True),
         Hub(12, "tacc", "h1", E2, True, "start", own_s=2.0)]),
    "by a round in which psu did not promise": (promises.check, [*ASKED, EXTENDED]),
    "in which tacc did not promise": (
        promises.check,  # it did in another round
        [*ASKED[:2], PSU_TOO, PromiseHeard(2.35, "iu", TACC, 76, frozenset({"h1"})), EXTENDED]),
    "in which iu-2, tacc did not promise": (
        promises.check,  # one of its members was wiped and joined again under another uid
        [Journaled(1, "iu", {}, {}, members=frozenset({IU, ("iu-2", "new"), TACC})), ASKED[1],
         PromiseHeard(2.2, "iu", ("tacc", "old"), 77, frozenset({"h1"})),
         PromiseHeard(2.2, "iu", ("iu-2", "old"), 77, frozenset({"h1"})), EXTENDED]),
    "in which there was nobody to promise": (promises.check, [ASKED[1], EXTENDED]),
    "running at tacc at (1, 2) and at iu at (1, 1)": (  # whatever anybody promised
        one_copy.check, [hub(1, "iu", True), *ASKED, EXTENDED, takeover(at=3.0), hub(5, "tacc", True, epoch=E2)]),
    "on record for (1, 2) was b": (
        homes.check, [*WORKED, *copied(3, "b", 1), *MOVED, Restored(21, "tacc", "h1", E2, "a")]),
    "let into empty homes at tacc": (homes.check, [*WORKED, *MOVED, let_in(22)]),
    "let into older homes at tacc at (1, 2): work 1 is missing": (
        homes.check, [*WORKED, worked(3, 2), *copied(4, "b", 1, 2), *MOVED, let_in(22, 2)]),
    "work 2 is missing": (  # nobody was taken over from: it was retired and restored, or moved
        homes.check, [*WORKED, worked(3, 2), Owner(5, "h1", "iu", E2, False, 9), let_in(6, 1, site="iu")]),
    "work 1 is in the copy on record before": (homes.check, [*WORKED, *copied(4, "b", 2)]),
    "went back from a copy of (1, 2) to one of (1, 1)": (
        homes.check, [*copied(1, "a", 1, site="tacc", epoch=E2), *copied(2, "b", 1)]),
    "which is no such copy": (homes.check, [Recorded(1, "h1", "iu", E1, "a")]),
    "work 2 never came back: nothing is on record": (
        homes.check, [NotBack(90, "h1", frozenset({2}), "nothing is on record")]),
    "closed at iu while the register was away": (outage.check, [RegisterAway(2), gate(9, "iu", False)]),
    "ended at iu while the register was away": (outage.check, [RegisterAway(2), StopBegun(9, "iu", "h1", E1, 9.0)]),
    "which was silent as all were": (outage.check, [RegisterAway(2), Calm(60), takeover(at=61.0)]),
    "nobody serves it": (liveness.check, [Calm(1), Left(60, "h1", "nobody serves it")]),
    "closed at iu long after": (liveness.check, [Calm(1), gate(50, "iu", False)]),
    "opened at iu long after": (
        liveness.check,
        [Calm(1), Operation(2, "h1", "move", "stopped"), Operation(60, "h1", "move", "done"), gate(61, "iu", True)],
    ),
    "wanted standing long after": (liveness.check, [Calm(1), Wish(50, "iu", "h1", "standing")]),
}  # fmt: skip


@pytest.mark.parametrize("words", PLANTED)
def test_a_planted_violation_is_found(words: str) -> None:
    check, events = PLANTED[words]
    verdict = check(history(*events))
    assert any(words in violation.text for violation in verdict.violations)
    assert verdict.holds is False


def test_a_promise_that_was_over_before_a_boot_is_over_after_it() -> None:
    started = Hub(19, "tacc", "h1", E2, True, "start", own_s=1.0)
    assert promises.check(history(*ASKED, Rebooted(18, "tacc", 18.0), started)).violations == []


def test_what_a_paused_machine_does_is_counted_apart() -> None:
    events = [gate(1, "tacc", True, E2), MachinePause(2, "iu", False), gate(3, "iu", True)]
    verdict = one_copy.check(history(*events))
    assert verdict.violations == []
    assert verdict.counts["exposed by a paused machine"] == 1


def test_of_a_history_that_did_not_end_nobody_knows_whether_all_came_well() -> None:
    assert liveness.check(history(Calm(1), ended=False)).holds is None


def test_a_campaign_that_met_nothing_says_what_it_missed() -> None:
    seen = counts.count(history(*RENEWED))
    assert set(counts.missing(seen)) == set(counts.NEEDED)
    seen.update(dict.fromkeys(counts.NEEDED, 1))
    assert counts.missing(seen) == []
