"""Operations: one table from the last finished step to the next move; interrupted anywhere, they end the same way."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from federation.core.operation_facts import (
    Assign,
    Confirm,
    End,
    Facts,
    Finish,
    LookAtCopies,
    Move,
    Name,
    Probe,
    Seen,
    TakeOver,
    Unname,
    Wait,
    Withdraw,
)
from federation.core.operations import next_move
from federation.core.placement import Choice
from federation.core.takeover import Go, Hold, Nothing, Verdict
from federation.model.identity import Epoch
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import EarlierOwner, Ownership

NOW = datetime(2026, 9, 1, tzinfo=UTC)
HUB = "atm101-abc123"
SERVING = Seen(epoch_matches=True, generation=1, phase="serving", gate_open=True, processes=3)
GO = Go("iu", "tacc", 41, "iu was silent for 16 s")
STOPPED = Seen(epoch_matches=True, generation=0, phase="stopped", gate_open=False, processes=0)


def operation(kind: OperationKind = OperationKind.PLACE, step: Step = Step.ADMITTED) -> Operation:
    return Operation(
        id="op1", kind=kind, hub=HUB, name="atm101", generation=1, step=step, created=NOW, actor="user/ann"
    )


def owned(site: str | None = "iu", n: int = 1, **more: Any) -> Ownership:
    return Ownership(hub=HUB, owner=site, epoch=Epoch(era=1, n=n), **more)


def fits() -> Choice:
    return Choice("iu", "tacc", "preferred and fits", ())


def facts(step: Step, ownership: Ownership | None = None, kind: OperationKind = OperationKind.PLACE) -> Facts:
    return Facts(operation(kind, step), ownership, fits)


def test_a_hub_without_an_owner_is_assigned() -> None:
    assert next_move(facts(Step.ADMITTED)) == Assign(fits())


def test_a_hub_with_an_owner_is_never_placed_again() -> None:
    assert next_move(facts(Step.ADMITTED, owned("tacc"))) == Finish(Step.ASSIGNED, "stays at tacc")


def test_when_nothing_fits_the_operation_waits_with_the_reason() -> None:
    nowhere = Facts(operation(), None, lambda: Choice(None, None, "no site fits (iu: full)", ()))
    move = next_move(nowhere)
    assert isinstance(move, Wait)
    assert move.reason == "no site fits (iu: full)"


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (None, "no report"),
        (replace(SERVING, epoch_matches=False), "not heard of this epoch"),
        (replace(SERVING, phase="starting", message="loading"), "hub is starting: loading"),
        (replace(SERVING, gate_open=False), "hub is serving"),
        (replace(SERVING, generation=0), "serves generation 0, applying 1"),
    ],
)
def test_a_start_is_believed_only_from_a_report_of_this_epoch_and_generation(seen: Seen | None, words: str) -> None:
    move = next_move(replace(facts(Step.ASSIGNED, owned()), seen=seen))
    assert isinstance(move, Wait)
    assert words in move.reason


def test_a_retired_hub_is_stopped_only_when_the_site_says_that_nothing_is_left() -> None:
    ended = owned(None, 2, tombstone=True, earlier=(EarlierOwner(site="iu", epoch=Epoch(era=1, n=1)),))
    waiting = facts(Step.CLOSED, ended, OperationKind.RETIRE)
    assert isinstance(next_move(waiting), Wait)
    assert isinstance(next_move(replace(waiting, earlier_seen=replace(STOPPED, processes=1))), Wait)
    assert next_move(replace(waiting, earlier_seen=STOPPED)) == Confirm(
        Step.STOPPED, "iu verified that nothing of the hub runs"
    )


@pytest.mark.parametrize(
    ("verdict", "move"),
    [
        (GO, TakeOver(GO)),
        (Hold("no site can take it"), Wait("no site can take it")),
        (Nothing("iu renewed its lease"), Withdraw("iu renewed its lease")),
    ],
)
def test_a_failover_does_what_the_verdict_of_the_moment_says(verdict: Verdict, move: Move) -> None:
    begun = replace(facts(Step.ADMITTED, owned(), OperationKind.FAILOVER), takeover=lambda: verdict, copies="")
    assert next_move(begun) == move


def test_before_the_owner_changes_the_standby_is_asked_whether_it_could_restore_the_homes() -> None:
    begun = replace(facts(Step.ADMITTED, owned(), OperationKind.FAILOVER), takeover=lambda: GO)
    assert next_move(begun) == LookAtCopies("tacc")
    held = next_move(replace(begun, copies="the repository does not open"))
    assert isinstance(held, Wait)
    assert held.reason == "tacc: the repository does not open"


class World:
    """A register and a site that carry out moves; `forget` is a change of leader: looks are lost, records are not."""

    def __init__(self, kind: OperationKind, ownership: Ownership | None) -> None:
        self.facts = Facts(operation(kind), ownership, fits, takeover=lambda: GO, copies="")
        self.assigned = 0

    def forget(self) -> None:
        self.facts = replace(self.facts, verified=None, name_leads_here=None, name_exists=None)

    def carry_out(self, move: Move) -> None:
        match move:
            case Assign(choice):
                self.assigned += 1
                self._record(Step.ASSIGNED, ownership=owned(choice.site), seen=SERVING)
            case TakeOver(go):
                self._record(Step.OWNED, ownership=owned(go.target, 2), seen=SERVING)
            case Withdraw(message):
                raise AssertionError(f"withdrawn although the site is silent: {message}")
            case End():
                earlier = (EarlierOwner(site="iu", epoch=Epoch(era=1, n=1)),)
                self._record(
                    Step.CLOSED, ownership=owned(None, 2, tombstone=True, earlier=earlier), earlier_seen=STOPPED
                )
            case Confirm(step, _):
                self._record(step, ownership=owned(None, 2, tombstone=True))
            case Finish(step, _):
                self._record(step)
            case Probe() | Name() | Unname():
                self._look(move)
            case Wait(reason):
                raise AssertionError(f"waits although all is well: {reason}")

    def _look(self, move: Probe | Name | Unname) -> None:
        match move:
            case Probe():
                self.facts = replace(self.facts, verified=True)
            case Name():
                self.facts = replace(self.facts, name_leads_here=True)
            case Unname():
                self.facts = replace(self.facts, name_exists=False)

    def _record(self, step: Step, **changes: object) -> None:
        finished = self.facts.operation.finished(step, NOW)
        self.facts = replace(self.facts, operation=finished, **changes)  # type: ignore[arg-type]
        self.forget()


@pytest.mark.parametrize("kind", list(OperationKind))
def test_an_operation_ends_the_same_way_whatever_move_is_interrupted(kind: OperationKind) -> None:
    start = None if kind is OperationKind.PLACE else owned()
    for interrupted_at in range(12):
        world, moves = World(kind, start), 0
        while not world.facts.operation.done:
            world.carry_out(next_move(world.facts))
            if moves == interrupted_at:
                world.forget()
            moves += 1
            assert moves < 30, "does not come to an end"
        assert world.assigned == (1 if kind is OperationKind.PLACE else 0)
        steps = [record.step for record in world.facts.operation.history]
        assert steps == sorted(set(steps), key=steps.index), "a step was recorded twice"
