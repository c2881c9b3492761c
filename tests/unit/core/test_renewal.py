"""A coordinator's judgement of a renewal, and what it says about claims that the grant does not list."""

from dataclasses import replace

import pytest

from federation.core.renewal import Answerable, Renewal, answer_claims, deaf_after, judge
from federation.model.identity import Epoch
from federation.model.ownership import AgentRecord, Owned, Ownership, SiteLease

AGENT = AgentRecord(site="iu", uid="u1", incarnation=3)
LEASE = SiteLease(site="iu", incarnation=3, seq=7, heard=6)
RENEWAL = Renewal("iu", "u1", incarnation=3, seq=8, heard=7)
E1, E2 = Epoch(era=1, n=1), Epoch(era=1, n=2)


def test_the_current_incarnation_with_a_rising_seq_is_renewed() -> None:
    assert judge(RENEWAL, AGENT, LEASE, deaf=6) is Answerable.RENEW
    assert judge(RENEWAL, AGENT, None, deaf=6) is Answerable.RENEW


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({"uid": "u2"}, Answerable.UNKNOWN_MEMBER),
        ({"incarnation": 2}, Answerable.OLD_INCARNATION),
        ({"seq": 7}, Answerable.OLD_SEQ),
        ({"seq": 40}, Answerable.DEAF),
    ],
)
def test_everything_else_is_refused_for_its_own_reason(change: dict[str, object], verdict: Answerable) -> None:
    assert judge(replace(RENEWAL, **change), AGENT, LEASE, deaf=6) is verdict  # type: ignore[arg-type]


def test_a_new_incarnation_begins_its_own_count() -> None:
    restarted = Renewal("iu", "u1", incarnation=4, seq=1, heard=0)
    assert judge(restarted, AGENT.revise(incarnation=4), LEASE, deaf=6) is Answerable.RENEW


def test_deaf_after_as_many_missing_answers_as_fit_into_the_lease() -> None:
    assert deaf_after(30, 5) == 6
    assert deaf_after(5, 2) == 3


def ownership(owner: str | None, epoch: Epoch, *, tombstone: bool = False) -> Ownership:
    return Ownership(hub="h1", owner=owner, epoch=epoch, tombstone=tombstone)


@pytest.mark.parametrize("record", [ownership("tacc", E2), ownership(None, E2, tombstone=True)])
def test_a_higher_epoch_elsewhere_or_a_tombstone_revokes(record: Ownership) -> None:
    answer = answer_claims("iu", {"h1": E1}, {}, {"h1": record})
    assert [(e.hub, e.epoch) for e in answer.revoked] == [("h1", E2)]
    assert answer.unknown == ()


@pytest.mark.parametrize("record", [None, ownership("tacc", E1), ownership("iu", E2), ownership(None, E2)])
def test_anything_less_is_unknown_and_revokes_nothing(record: Ownership | None) -> None:
    answer = answer_claims("iu", {"h1": E1}, {}, {"h1": record})
    assert answer.revoked == ()
    assert answer.unknown == ("h1",)


def test_a_granted_claim_needs_no_answer() -> None:
    answer = answer_claims("iu", {"h1": E1}, {"h1": Owned(hub="h1", epoch=E1)}, {})
    assert (answer.revoked, answer.unknown) == ((), ())
