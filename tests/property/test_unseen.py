"""Whatever other places say: a class moves only on firm words of two places, and where that would help."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

from hypothesis import given
from hypothesis import strategies as st

from federation.core.relocation import Relocate
from federation.core.server_tests import AHEAD_S
from federation.core.unseen import PLACES, Unseen, decide
from federation.model.outlook import FIRM, Fault, Outlook, Trial

T = TypeVar("T")
NOON = datetime(2026, 9, 1, 12, tzinfo=UTC)
FAULTS = {"": (Fault.NONE,), "no": (Fault.PAGE, Fault.TLS, Fault.PAGE, Fault.TLS, Fault.PAGE, Fault.NAME)}


def mostly(usual: T, other: T) -> st.SearchStrategy[T]:
    """Most worlds are such that little speaks against a move: what forbids it must be seen one at a time."""
    return st.sampled_from([usual] * 7 + [other])


@st.composite
def words(draw: st.DrawFn, kind: type[Outlook] = Outlook) -> Outlook:
    problem = draw(mostly("no", ""))
    place = draw(st.sampled_from(["witness", "tacc", "mars", "iu"]))
    fields: dict[str, object] = {
        "coordinator": draw(st.sampled_from(["c1", "c2", "c3", "c4"])),
        "place": place,
        "hub": "atm101-abc123",
        "site": draw(mostly("iu", "tacc")),
        "problem": problem,
        "fault": draw(st.sampled_from(FAULTS[problem])),
        "misses": draw(mostly(FIRM, 1)) if problem else 0,
        "reaches": draw(mostly(("tacc",), ())),
    }
    if kind is Trial:
        fields |= {"at": NOON, "passed": draw(mostly(2, 1)), "fault": Fault.SERVER if problem else Fault.NONE}
    return kind.model_validate(fields)


def worlds() -> st.SearchStrategy[Unseen]:
    return st.builds(
        Unseen,
        site=st.just("iu"),
        outlooks=st.lists(words(), max_size=5).map(tuple),
        serves=mostly(True, False),
        fresh=mostly(True, False),
        target=mostly("tacc", ""),
        moved_s=st.sampled_from([None, None, 7200.0, 10.0]),
        trials=st.lists(words(Trial), max_size=5).map(tuple),
        generation=st.just(2),
        meets_within_s=st.sampled_from([None, AHEAD_S + 1, AHEAD_S, 0.0]),
    )


@given(worlds())
def test_a_move_has_firm_words_of_two_places_a_proof_from_outside_the_target_and_no_name_at_fault(
    world: Unseen,
) -> None:
    decision = decide(world)
    if not isinstance(decision, Relocate):
        return
    said = world.trials if decision.patient else world.outlooks
    about = [one for one in said if one.site == "iu" and one.place != "iu"]
    firm = [one for one in about if one.misses == FIRM]
    assert len({one.place for one in firm}) >= PLACES
    assert all(one.problem for one in about), "nobody sees it"
    assert all(one.fault is not Fault.NAME for one in firm if not decision.patient)
    assert any("tacc" in one.reaches and one.place != "tacc" for one in firm)
    assert world.serves
    assert world.fresh
    assert world.moved_s != 10.0


@given(worlds())
def test_servers_that_do_not_start_move_a_class_only_outside_its_times_and_if_one_had_started_there(
    world: Unseen,
) -> None:
    decision = decide(world)
    if isinstance(decision, Relocate) and decision.patient:
        assert any(isinstance(one, Trial) and one.passed == 2 and one.site == "iu" for one in world.trials)
        assert world.meets_within_s is None or world.meets_within_s > AHEAD_S
