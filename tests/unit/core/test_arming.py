"""When a hub is armed: only by a renewal, only with a fencer, and it counts only when that was heard (PROTOCOL.md H15)."""

from federation.core.arming import Renewing, next_run
from federation.model.identity import Epoch
from federation.model.ownership import ArmedRun, Mode, Owned, WantedMode

E1, E2 = Epoch(era=1, n=1), Epoch(era=1, n=2)
STANDING, RUN = Owned(hub="h", epoch=E1), ArmedRun(incarnation=3, seq=7)
ARMED = Owned(hub="h", epoch=E1, armed=RUN)
WANTED = WantedMode(hub="h", epoch=E1, mode=Mode.ARMED)


def renewing(seq: int, *, incarnation: int = 3, fenced: int = 0, armable: bool = True) -> Renewing:
    return Renewing(incarnation, seq, fenced, armable)


def test_a_wanted_hub_becomes_armed_by_the_next_renewal_and_nothing_is_heard_yet() -> None:
    assert next_run(STANDING, WANTED, renewing(7)) == RUN


def test_it_counts_from_the_renewal_whose_fencer_has_taken_the_first_armed_answer() -> None:
    assert next_run(ARMED, WANTED, renewing(8, fenced=6)) == RUN
    heard = next_run(ARMED, WANTED, renewing(8, fenced=7))
    assert heard == RUN.revise(heard=True)
    assert ARMED.revise(armed=heard).may_be_taken_over


def test_once_heard_it_stays_heard_over_a_restart_of_the_agent() -> None:
    heard = ARMED.revise(armed=RUN.revise(heard=True))
    assert next_run(heard, WANTED, renewing(1, incarnation=4)) == heard.armed


def test_an_agent_that_restarted_before_it_heard_must_hear_an_answer_of_its_own() -> None:
    assert next_run(ARMED, WANTED, renewing(1, incarnation=4)) == RUN
    assert next_run(ARMED, WANTED, renewing(2, incarnation=4, fenced=1)) == RUN.revise(heard=True)


def test_a_standing_grant_ends_the_run_and_the_next_one_starts_with_nothing_heard() -> None:
    heard = ARMED.revise(armed=RUN.revise(heard=True))
    assert next_run(heard, WANTED.revise(mode=Mode.STANDING), renewing(9, fenced=8)) is None
    assert next_run(STANDING, WANTED, renewing(10, fenced=9)) == ArmedRun(incarnation=3, seq=10)


def test_without_a_proven_fencer_a_hub_is_standing_at_once() -> None:
    assert next_run(ARMED, WANTED, renewing(9, fenced=8, armable=False)) is None


def test_a_wish_of_an_earlier_ownership_arms_nothing() -> None:
    assert next_run(Owned(hub="h", epoch=E2), WANTED, renewing(1)) is None
    assert next_run(STANDING, None, renewing(1)) is None
