"""Planned moves: every situation at every step, not a sample; what may never be decided is never decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from federation.core.calendar import Window
from federation.core.moving import BEFORE_TARGET, HEAR_S, LET_IN_S, PATIENCE_S, UNLED_S
from federation.core.operation_facts import (
    Acquire,
    Facts,
    Finish,
    Keep,
    LookAtCopies,
    Move,
    MoveFacts,
    Release,
    Seen,
    Wait,
)
from federation.core.operations import next_move
from federation.core.placement import Choice
from federation.core.taking_back import UNSAVED_S
from federation.model.identity import Epoch
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import Ownership

HUB = "atm101-abc123"
NOW = datetime(2026, 9, 1, tzinfo=UTC)
E1 = Epoch(era=1, n=1)
BOOL = (False, True)
SERVING = Seen(epoch_matches=True, generation=1, phase="serving", gate_open=True, processes=3)
REPORTS = (
    None,
    SERVING,
    replace(SERVING, draining=True, servers=2, active_servers=1),
    replace(SERVING, draining=True, servers=2),
    replace(SERVING, phase="stopping", gate_open=False),
    Seen(epoch_matches=True, generation=1, phase="stopped", gate_open=True, processes=0),
    Seen(epoch_matches=True, generation=1, phase="stopped", gate_open=False, processes=0),
    Seen(epoch_matches=False, generation=1, phase="stopped", gate_open=False, processes=0, released=True),
)


def order(step: Step, **more: object) -> Operation:
    base = Operation(
        id="op1",
        kind=OperationKind.MOVE,
        hub=HUB,
        name="atm101",
        generation=1,
        created=NOW,
        actor="user/ann",
        source="iu",
        target="tacc",
        drain_s=600.0,
        step=step,
    )
    return base.revise(**more)


def situations() -> Iterator[Facts]:
    """All of them, for each step before the target owns the hub."""
    steps = sorted(BEFORE_TARGET)
    times, kinds = (0.0, PATIENCE_S, 1e6), ("", "lossy", "back", "no more")
    numbers = product(steps, ("iu", None), REPORTS, BOOL, ("", "full"), times, BOOL, BOOL, BOOL, kinds)
    for step, owner, seen, cancelled, objection, in_step_s, lasting, copied, failed, kind in numbers:
        if (owner is None) is not (step is Step.RELEASED):
            continue
        yield Facts(
            order(
                step,
                cancelled="by ann" if cancelled else "",
                accept_loss=kind == "lossy",
                back="iu could not start it" if kind == "back" else "",
            ),
            Ownership(hub=HUB, owner=owner, epoch=E1),
            lambda: Choice(None, None, "", ()),
            seen=seen,
            copies="",
            move=MoveFacts(
                objection=objection,
                in_step_s=in_step_s,
                lasting=lasting,
                copied=copied,
                no_more="it meets now or soon" if kind == "no more" else "",
                copy_problem="the store is full" if failed else "",
            ),
        )


def decided() -> Iterator[tuple[Facts, MoveFacts, Move]]:
    for facts in situations():
        assert facts.move is not None
        yield facts, facts.move, next_move(facts)


def test_a_hub_is_released_only_when_it_has_stopped_and_its_site_has_given_it_up() -> None:
    releases = [facts for facts, _known, move in decided() if isinstance(move, Release)]
    assert releases
    for facts in releases:
        assert facts.operation.step is Step.COPIED
        assert facts.seen is not None
        assert facts.seen.closed
        assert facts.seen.released
        assert not facts.operation.cancelled


def test_nothing_is_given_up_before_the_final_copy_is_on_record_or_its_loss_was_accepted() -> None:
    for facts, known, move in decided():
        if isinstance(move, Finish) and move.step is Step.COPIED:
            assert not known.objection, "nor for a target that could not take it"
            accepted = facts.operation.accept_loss or (facts.operation.back and known.in_step_s >= UNSAVED_S)
            assert not known.lasting or known.copied or (accepted and known.copy_problem)
            assert facts.seen is None or facts.seen.closed


def test_only_a_hub_that_nobody_owns_is_acquired_and_by_its_source_only_when_the_move_is_off() -> None:
    sites = set()
    for facts, known, move in decided():
        if isinstance(move, Acquire):
            assert facts.ownership is not None
            assert facts.ownership.owner is None
            off = bool(facts.operation.cancelled or (known.objection and known.in_step_s >= PATIENCE_S))
            assert move.site == ("iu" if off else "tacc")
            sites.add(move.site)
    assert sites == {"iu", "tacc"}


def test_whoever_may_have_given_up_its_epoch_gets_another_one() -> None:
    """H8 c: the site would refuse the old one for ever."""
    for facts, _known, move in decided():
        at_release = facts.operation.step is Step.COPIED
        if isinstance(move, Keep):
            assert at_release
        if isinstance(move, Finish) and move.step is Step.OWNED:
            assert facts.operation.step is not Step.COPIED


def test_a_target_that_stays_unfit_never_keeps_a_stopped_class_waiting_for_ever() -> None:
    """I5: the source goes on; only while it is silent itself there is nobody to ask."""
    stopped = (Step.DRAINED, Step.STOPPED, Step.COPIED, Step.RELEASED)
    for facts, known, move in decided():
        if facts.operation.step in stopped and known.objection and known.in_step_s >= PATIENCE_S:
            assert isinstance(move, Keep | Acquire) or (isinstance(move, Finish) and move.step is Step.OWNED)


def test_a_drain_that_nobody_led_when_it_was_over_stops_no_class_for_students_were_let_in_again() -> None:
    for facts, known, move in decided():
        late = known.in_step_s >= facts.operation.drain_s + UNLED_S and not facts.operation.back
        if facts.operation.step is Step.CHECKED and late and not facts.operation.cancelled:
            assert isinstance(move, Finish)
            assert move.step is Step.OWNED
    assert UNLED_S < LET_IN_S, "first the leader knows that it is over, then the site lets students in"
    assert max(PATIENCE_S, HEAR_S) < UNLED_S, "a leader that is there has decided by then"


def test_what_a_rule_would_not_order_any_more_stops_no_class_and_ends_no_move_of_one_that_has_stopped() -> None:
    for facts, known, move in decided():
        if not known.no_more or facts.operation.cancelled:
            continue
        if facts.operation.step in (Step.ADMITTED, Step.CHECKED):
            assert move == Finish(Step.OWNED, "it stays at iu: it meets now or soon")
        else:
            assert move == next_move(replace(facts, move=replace(known, no_more="")))


def test_every_wait_says_what_for() -> None:
    for facts, _known, move in decided():
        if isinstance(move, Wait):
            assert len(move.reason) > len("iu: "), facts


MEETING = Window(NOW, NOW, NOW)


def check(**more: object) -> Move:
    facts = Facts(
        order(Step.ADMITTED),
        Ownership(hub=HUB, owner="iu", epoch=E1),
        lambda: Choice(None, None, "", ()),
        seen=SERVING,
        copies="",
        move=MoveFacts(),
    )
    return next_move(replace(facts, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        ({"move": MoveFacts(meeting=MEETING)}, "the class meets"),
        ({"seen": None}, "has not reported"),
        ({"move": MoveFacts(objection="is cordoned")}, "tacc: is cordoned"),
        ({"move": MoveFacts(has_copy=False)}, "never copied"),
        ({"copies": "the repository does not open"}, "tacc: the repository does not open"),
    ],
)
def test_a_move_begins_only_when_its_target_could_take_the_class(situation: dict[str, object], said: str) -> None:
    move = check(**situation)
    assert isinstance(move, Wait)
    assert said in move.reason


def test_it_begins_in_a_meeting_only_with_now_and_looks_at_the_copies_first() -> None:
    now = check(operation=order(Step.ADMITTED, now=True), move=MoveFacts(meeting=MEETING))
    assert now == Finish(Step.CHECKED, "tacc has room and can read the copies")
    assert check(copies=None) == LookAtCopies("tacc")
