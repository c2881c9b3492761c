"""What becomes of work that a lost site had not sent, step by step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from federation.core.unsent import (
    Finish,
    Forget,
    Place,
    PlaceAgain,
    Save,
    UnsentFacts,
    Wait,
    next_move,
    the_tree_of,
    what,
    worth_recovering,
)
from federation.model.homes import CopyPoint, HomeIndex, Unsent, UnsentHome, UnsentStep
from federation.model.identity import Epoch
from federation.model.ownership import EarlierOwner, Ownership

NOON = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
E1, E2, E3 = (Epoch(era=1, n=n) for n in (1, 2, 3))
POINT = CopyPoint(site="iu", snapshot="0" * 64)
OWED = Unsent(hub="h", site="iu", epoch=E1, base=POINT, taken_over=NOON)
SAVED = OWED.revise(step=UnsentStep.SAVED, saved=POINT, homes=(UnsentHome(name="ada", files=2, bytes=9),))
PLACED = SAVED.revise(step=UnsentStep.PLACED, placed_at="tacc", placed_epoch=E2, placed=NOON)
AT_TACC = Ownership(hub="h", owner="tacc", epoch=E2)
LEFT = EarlierOwner(site="iu", epoch=E1)


def facts(work: Unsent, ownership: Ownership | None = AT_TACC, **more: object) -> UnsentFacts:
    known = UnsentFacts(work, ownership, True, False, True, None, NOON + timedelta(hours=1), 7 * 86400.0)
    return replace(known, **more)  # type: ignore[arg-type]


def copied(taken: datetime, epoch: Epoch = E2) -> HomeIndex:
    return HomeIndex(hub="h", copy_=CopyPoint(site="tacc", snapshot="1" * 64), epoch=epoch, run="r", taken=taken)


def test_the_former_owner_is_asked_only_when_it_has_confirmed_that_it_closed() -> None:
    assert next_move(facts(OWED, AT_TACC.revise(earlier=(LEFT,)))) == Wait("iu has not confirmed that it closed")
    assert next_move(facts(OWED)) == Save()
    assert next_move(facts(OWED, AT_TACC.revise(owner=None, tombstone=True))) == Save(), (
        "also of a class that is retired"
    )


def test_a_site_that_owns_the_class_again_first_puts_its_tree_of_then_aside() -> None:
    again = Ownership(hub="h", owner="iu", epoch=E3)
    assert isinstance(next_move(facts(OWED, again, settled=False)), Wait)
    assert next_move(facts(OWED, again)) == Save()


def test_what_was_saved_goes_to_whoever_owns_the_class_and_serves_it() -> None:
    assert next_move(facts(SAVED)) == Place("tacc", E2)
    assert isinstance(next_move(facts(SAVED, settled=False)), Wait)
    assert next_move(facts(SAVED, AT_TACC.revise(owner=None, tombstone=True))) == Wait("nobody owns the class")


def test_it_is_done_when_a_recorded_copy_has_it() -> None:
    late = NOON + timedelta(minutes=1)
    assert isinstance(next_move(facts(PLACED)), Wait)
    assert isinstance(next_move(facts(PLACED, index=copied(NOON - timedelta(minutes=1)))), Wait)
    assert isinstance(next_move(facts(PLACED, index=copied(late, E1))), Wait)
    done = next_move(facts(PLACED, index=copied(late)))
    assert done == Finish("2 files of 1 student in recovered-iu-2026-09-01T120000Z")
    assert "(3 could not be read)" in what(PLACED.revise(unread=3))
    assert isinstance(next_move(facts(PLACED, lasting=False)), Finish), "of a class that is copied no more"


def test_a_class_that_moves_before_that_gets_it_again_where_it_is_then() -> None:
    assert next_move(facts(PLACED, Ownership(hub="h", owner="third", epoch=E3))) == PlaceAgain()


def test_the_record_goes_when_it_is_old_or_the_homes_were_deleted() -> None:
    done = PLACED.revise(step=UnsentStep.DONE, ended=NOON, message="2 files of 1 student")
    assert next_move(facts(done)) == Wait("2 files of 1 student")
    assert next_move(facts(done, keep_s=60.0)) == Forget()
    assert next_move(facts(OWED, deleted=True)) == Forget()
    assert isinstance(next_move(facts(OWED, None)), Wait)


@pytest.mark.parametrize("path", ["ada/notes.ipynb", "ada/.bashrc", "ada/.config/x", "ada/deep/er/f", "ada/cache/f"])
def test_work_is_recovered_hidden_or_not(path: str) -> None:
    assert worth_recovering(path)


@pytest.mark.parametrize(
    "path",
    [
        ".hubfed-hub.sqlite",
        ".hubfed-home.json",
        "ada",
        "ada/.local/share/Trash/files/old",
        "ada/.Trash-1000/files/old",
        "ada/.cache/pip/x",
        "ada/project/__pycache__/m.pyc",
        "ada/.ipynb_checkpoints/notes-checkpoint.ipynb",
        "ada/.local/share/jupyter/runtime/kernel-1.json",
    ],
)
def test_what_is_no_work_is_not(path: str) -> None:
    assert not worth_recovering(path)


def test_the_tree_of_an_epoch_is_the_one_that_is_marked_with_it_or_the_last_of_an_earlier_era() -> None:
    later = Epoch(era=2, n=1)
    assert the_tree_of(E2, {"own": E3, "kept": E2}) == "kept"
    assert the_tree_of(E2, {"own": E3, "kept": E1}) is None, "a tree of another epoch is other work"
    assert the_tree_of(later, {"kept": E1, "own": E3}) == "own", "a recovery raised epochs, which nobody told this site"
    assert the_tree_of(E1, {}) is None
