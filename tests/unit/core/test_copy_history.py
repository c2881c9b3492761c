"""Which recorded copies stay listed, and which one answers for a student and a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from federation.core.copy_history import MOST, HomeSeen, as_of, copies_of, recorded, restored_folder
from federation.model.homes import CopyPoint, HomeHistory, HomeIndex
from federation.model.identity import Epoch
from federation.store.interface import MAX_REQUEST_BYTES, Entry
from federation.store.register import decode, encode

NOON = datetime(2026, 9, 1, 12, 0, tzinfo=UTC)
WEEK_S = 7 * 86400.0
E1, E2 = Epoch(era=1, n=1), Epoch(era=1, n=2)
ADA = {"ada": HomeSeen(10, changed=True)}
BOTH = {**ADA, "bob": HomeSeen(20, changed=True)}


def index(taken: datetime, site: str = "iu", epoch: Epoch = E1) -> HomeIndex:
    point = CopyPoint(site=site, snapshot=f"{taken:%d%H%M%S}".ljust(64, "0"))
    return HomeIndex(hub="h", copy_=point, epoch=epoch, run="r", taken=taken, homes=1)


def grown(
    history: HomeHistory | None, homes: dict[str, HomeSeen], taken: datetime, site: str = "iu", epoch: Epoch = E1
) -> HomeHistory:
    return recorded(history, index(taken, site, epoch), homes, taken + timedelta(seconds=5), WEEK_S)


def times(history: HomeHistory, home: str = "") -> list[datetime]:
    return [copy.taken for copy in copies_of(history, home)]


def test_copies_are_listed_newest_first_those_of_earlier_owners_too() -> None:
    history = grown(grown(None, ADA, NOON), ADA, NOON + timedelta(minutes=5), "tacc", E2)
    assert [(copy.copy_.site, copy.epoch) for copy in copies_of(history)] == [("tacc", E2), ("iu", E1)]


def test_a_student_sees_the_copies_that_have_a_home_of_theirs() -> None:
    steps = [ADA, BOTH, ADA, ADA, BOTH]
    history = None
    at = [NOON + n * timedelta(minutes=5) for n in range(len(steps))]
    for homes, taken in zip(steps, at, strict=True):
        history = grown(history, homes, taken)
    assert history is not None
    assert times(history, "ada") == at[::-1]
    assert times(history, "bob") == [at[4], at[1]]
    assert times(history, "carol") == []


def test_as_of_a_time_is_the_newest_copy_that_is_not_younger() -> None:
    history = grown(grown(None, ADA, NOON), ADA, NOON + timedelta(hours=1))
    found = copies_of(history, "ada")
    chosen = [as_of(found, NOON + timedelta(minutes=minutes)) for minutes in (-1, 0, 59, 60, 600)]
    assert [copy and copy.taken for copy in chosen] == [
        None, NOON, NOON, NOON + timedelta(hours=1), NOON + timedelta(hours=1)
    ]  # fmt: skip


def test_a_time_that_a_list_shows_is_that_of_its_copy() -> None:
    taken = NOON.replace(microsecond=123_987)
    found = copies_of(grown(None, ADA, taken))
    assert as_of(found, datetime.fromisoformat("2026-09-01T12:00:00.123Z")) == found[0]


def test_a_home_says_since_which_copy_it_is_as_it_is_now() -> None:
    history = grown(None, ADA, NOON)
    later = NOON + timedelta(minutes=5)
    history = grown(history, {"ada": HomeSeen(10, changed=False)}, later)
    assert history.homes["ada"].changed == NOON
    history = grown(history, {"ada": HomeSeen(12, changed=True)}, later + timedelta(minutes=5))
    assert history.homes["ada"].changed == later + timedelta(minutes=5)


def test_a_folder_is_named_by_its_copy_so_that_the_same_again_is_found() -> None:
    assert restored_folder(copies_of(grown(None, ADA, NOON))[0]) == "restored-2026-09-01T120000Z"


def test_the_further_back_the_fewer_are_kept_and_what_is_too_old_goes() -> None:
    history = None
    for minutes in range(0, 9 * 24 * 60, 10):
        history = grown(history, BOTH, NOON + timedelta(minutes=minutes))
    assert history is not None
    now = NOON + timedelta(days=9)
    ages = [now - copy.taken for copy in history.copies]
    assert max(ages) < timedelta(seconds=WEEK_S) + timedelta(minutes=20)
    assert sum(age <= timedelta(hours=1) for age in ages) == 6
    day = [age for age in ages if timedelta(hours=7) < age <= timedelta(hours=31)]
    assert 23 <= len(day) <= 25, "one an hour"
    assert len(ages) < 100


def test_what_once_was_kept_of_an_hour_stays_the_one_that_is_kept() -> None:
    """Else what was listed a moment ago could not be restored now."""
    history, listed = None, set[datetime]()
    for minutes in range(0, 26 * 60, 5):
        history = grown(history, ADA, NOON + timedelta(minutes=minutes))
        old = {c.taken for c in history.copies if history.copies[-1].taken - c.taken > timedelta(hours=7)}
        assert {at for at in listed if history.copies[-1].taken - at < timedelta(hours=40)} <= old
        listed |= old


def test_the_longest_history_of_a_large_class_fits_into_the_register() -> None:
    history = None
    for days in range(MOST + 50):
        at = NOON + days * timedelta(days=1)
        history = recorded(history, index(at), ADA, at, 1e9)
    class_of_3000 = {f"student-{n:04}": HomeSeen(10**9, changed=True) for n in range(3000)}
    history = recorded(history, index(at), class_of_3000, at, 1e9)
    assert len(history.copies) == MOST
    assert history.copies[-1].n == MOST + 51
    content = encode(history)
    assert len(content) < MAX_REQUEST_BYTES / 2
    assert decode(Entry("k", content, 1, 1), HomeHistory).document == history
