"""When a class is taken back from a site that cannot start it: the whole table."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from federation.core.operation_facts import Facts, Finish, MoveFacts, Seen, TakeBack, Wait
from federation.core.operations import next_move
from federation.core.placement import Choice
from federation.core.taking_back import FAILED, LIMITS_S, UNSAVED_S, Watched
from federation.model.identity import Epoch
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import Ownership

NOW = datetime(2026, 9, 1, tzinfo=UTC)
E2 = Epoch(era=1, n=2)
FAILS = Seen(epoch_matches=True, generation=1, phase=FAILED, gate_open=False, processes=0, message="no such image")
STOPPED = replace(FAILS, phase="stopped", message="")
LONG = MoveFacts(watched_s=LIMITS_S[FAILED])


def order(step: Step = Step.OWNED, **more: object) -> Operation:
    base = Operation(
        id="op1",
        kind=OperationKind.MOVE,
        hub="atm101-abc123",
        name="atm101",
        generation=1,
        created=NOW,
        actor="coordinator/c1",
        source="iu",
        target="tacc",
        rule=True,
        step=step,
    )
    return base.revise(**more)


def facts(operation: Operation | None = None, owner: str = "tacc", **more: object) -> Facts:
    operation = operation or order()
    base = Facts(operation, Ownership(hub=operation.hub, owner=owner, epoch=E2), lambda: Choice(None, None, "", ()))
    return replace(base, **{"seen": FAILS, "move": LONG, **more})  # type: ignore[arg-type]


def test_what_a_rule_sent_to_a_site_that_fails_to_start_it_is_taken_back_with_the_reason() -> None:
    said = next_move(facts())
    assert said == TakeBack("tacc could not start it within 5 min: hub is failed: no such image")


@pytest.mark.parametrize("phase", sorted(LIMITS_S))
def test_each_phase_has_its_limit(phase: str) -> None:
    seen, limit_s = replace(FAILS, phase=phase), LIMITS_S[phase]
    assert isinstance(next_move(facts(seen=seen, move=MoveFacts(watched_s=limit_s - 1))), Wait)
    assert isinstance(next_move(facts(seen=seen, move=MoveFacts(watched_s=limit_s))), TakeBack)


@pytest.mark.parametrize(
    "situation",
    [
        {"operation": order(rule=False)},  # a person looks after it
        {"operation": order(Step.STARTED)},
        {"owner": "iu"},  # it was turned round
        {"seen": None},
        {"seen": replace(FAILS, epoch_matches=False)},
        {"seen": replace(FAILS, phase="serving")},
    ],
)
def test_what_a_person_moved_what_has_started_and_what_nobody_knows_is_left_where_it_is(
    situation: dict[str, object],
) -> None:
    assert not isinstance(next_move(facts(**situation)), TakeBack)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("situation", "said"),
    [
        (
            {"operation": order(back="iu could not start it")},
            "once already; `fedctl move atm101 --to SITE --now` decides",
        ),
        ({"move": replace(LONG, objection="it is silent itself")}, "tacc: it is silent itself"),
        ({"move": replace(LONG, source_objection="it is silent itself")}, "iu: it is silent itself"),
    ],
)
def test_where_it_cannot_go_back_that_is_said(situation: dict[str, object], said: str) -> None:
    move = next_move(facts(**situation))  # type: ignore[arg-type]
    assert isinstance(move, Wait)
    assert move.reason.startswith("tacc could not start it within 5 min: hub is failed: no such image; it is not taken")
    assert move.reason.endswith(said)


def back(step: Step, **more: object) -> Facts:
    """On the way back: tacc owns it, iu is the target."""
    operation = order(step, source="tacc", target="iu", back="tacc could not start it", now=True)
    return facts(operation, **more)  # type: ignore[arg-type]


def test_on_the_way_back_no_copy_is_looked_at_for_the_site_has_its_homes() -> None:
    assert next_move(back(Step.ADMITTED, copies=None)) == Finish(Step.CHECKED, "iu lives and has room")


@pytest.mark.parametrize("step", [Step.ADMITTED, Step.CHECKED])
def test_it_is_left_where_it_is_if_it_serves_there_after_all(step: Step) -> None:
    serves = replace(FAILS, phase="serving", gate_open=True)
    assert next_move(back(step, seen=serves)) == Finish(Step.OWNED, "it stays at tacc: it serves there after all")
    assert next_move(back(step, seen=replace(serves, gate_open=False))) != next_move(back(step, seen=serves))


def test_a_copy_of_what_it_has_is_asked_for_and_not_for_ever() -> None:
    fails = MoveFacts(copy_problem="no homes of epoch 1.2", in_step_s=UNSAVED_S - 1)
    assert isinstance(next_move(back(Step.STOPPED, seen=STOPPED, move=fails)), Wait)
    without = next_move(back(Step.STOPPED, seen=STOPPED, move=replace(fails, in_step_s=UNSAVED_S)))
    assert without == Finish(Step.COPIED, "tacc had nothing to copy: no homes of epoch 1.2")
    never = replace(fails, in_step_s=UNSAVED_S, has_copy=False)
    stays = next_move(back(Step.STOPPED, seen=STOPPED, move=never))
    assert stays == Finish(Step.OWNED, "it stays at tacc: the final copy failed: no homes of epoch 1.2")


def test_failing_counts_from_its_first_sight_and_everything_else_from_when_it_began() -> None:
    seen = Watched("op1", "preparing", 0.0).look("preparing", 10.0)
    assert seen.since_mono == 0.0
    seen = seen.look(FAILED, 20.0).look("preparing", 30.0)
    assert seen.since_mono == 30.0, "a long restore is waited for, also the second one"
    assert seen.look(FAILED, 40.0).since_mono == 20.0
    assert seen.look("starting", 50.0).since_mono == 50.0
