"""What hooks are told: one table from events to calls, the same bytes each time, and tries that come to an end."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from random import Random

import pytest

from federation.core.hooks import (
    LONGEST_PAUSE_S,
    MEANING,
    SENTENCES,
    TRIES,
    after_call,
    call_of,
    meaning_of,
    pause_s,
    trial_of,
    wants,
)
from federation.model.hooks import Hook, HookCursor, HookEvent, Turn
from federation.model.placing import Event

AT = datetime(2026, 9, 1, 8, 0, 0, 123000, tzinfo=UTC)
NEW = HookCursor(hook="chat", revision=10)


def event(kind: str, message: str = "iu has not renewed its lease for 91 s", hub: str = "atm101-abc123") -> Event:
    return Event(at=AT, hub=hub, site="iu", type=kind, message=message, actor="coordinator/c3")


def test_every_kind_of_news_begins_and_ends_and_has_a_sentence() -> None:
    assert set(MEANING.values()) == set(SENTENCES) == {(kind, turn) for kind in HookEvent for turn in Turn}


@pytest.mark.parametrize("kind", ["place.admitted", "failover.owned", "hub.serving", "hook.given_up", "hooks.test"])
def test_other_events_call_nobody(kind: str) -> None:
    assert meaning_of(event(kind)) is None
    assert call_of("hubs", "k", event(kind)) is None


def test_a_hook_is_called_for_what_it_asks_for() -> None:
    chat = Hook(name="chat", url="https://chat.example.edu/x", events=(HookEvent.FREEZE,))
    assert wants(chat, event("failover.frozen"))
    assert not wants(chat, event("failover.admitted"))


def test_a_call_says_what_happened_to_what_and_to_whom_it_belongs() -> None:
    call = call_of("hubs", "atm101-abc123/00017-aa", event("failover.admitted"))
    assert call is not None
    said = json.loads(call.body)
    assert said == call.facts
    assert said["id"] == call.id == "atm101-abc123/00017-aa"
    assert (said["event"], said["turn"], said["classroom"], said["site"]) == ("takeover", "begun", "atm101", "iu")
    assert said["at"] == "2026-09-01T08:00:00.123Z"
    assert said["text"] == ("hubs: atm101 is to be taken over by another site: iu has not renewed its lease for 91 s")


def test_a_repetition_is_the_same_byte_for_byte() -> None:
    first, second = (call_of("hubs", "k", event("failover.frozen", "ünïcode")) for _ in range(2))
    assert first is not None
    assert first == second


def test_a_trial_says_that_nothing_happened() -> None:
    said = json.loads(trial_of("hubs", "test/1", AT, "user/ada").body)
    assert (said["event"], said["turn"], said["classroom"]) == ("test", "", "")
    assert said["text"] == "hubs: user/ada tries this hook; nothing has happened"


def test_a_call_that_succeeds_moves_the_cursor() -> None:
    told = after_call(NEW, (12, "event/a"), "a", "", AT)
    assert (told.cursor.revision, told.cursor.key, told.cursor.error, told.cursor.called) == (12, "event/a", "", AT)
    assert not told.given_up
    assert not told.works_again


def test_a_call_that_fails_does_not_move_it_until_its_tries_are_used_up() -> None:
    cursor = NEW
    for n in range(1, TRIES):
        told = after_call(cursor, (12, "event/a"), "a", "refused", AT)
        cursor = told.cursor
        assert (cursor.revision, cursor.tries, cursor.failures, told.given_up) == (10, n, n, False)
    last = after_call(cursor, (12, "event/a"), "a", "refused", AT)
    assert last.given_up
    assert (last.cursor.revision, last.cursor.tries, last.cursor.given_up) == (12, 0, 1)
    assert last.cursor.last_given_up == "a"


def test_the_next_event_has_all_its_tries_and_a_success_says_that_the_hook_works_again() -> None:
    dead = NEW.revise(failures=TRIES, given_up=1, last_given_up="a", error="refused")
    again = after_call(dead, (13, "event/b"), "b", "refused", AT)
    assert not again.given_up
    works = after_call(again.cursor, (13, "event/b"), "b", "", AT)
    assert works.works_again
    assert (works.cursor.failures, works.cursor.last_given_up, works.cursor.given_up) == (0, "", 1)


def test_what_a_hook_answers_is_kept_in_part() -> None:
    assert len(after_call(NEW, (12, "k"), "a", "x" * 10_000, AT).cursor.error) < 1000


def test_pauses_grow_and_end_at_a_minute() -> None:
    pauses = [pause_s(failures) for failures in range(1, 40)]
    assert pauses == sorted(pauses)
    assert pauses[0] == 1.0
    assert max(pauses) == LONGEST_PAUSE_S == 60.0
    assert pause_s(10**9) == LONGEST_PAUSE_S


def test_whatever_fails_every_event_is_told_or_given_up_in_order() -> None:
    random = Random(7)
    for _ in range(200):
        cursor, seen = NEW, []
        for revision in range(11, 21):
            while cursor.revision < revision:
                told = after_call(
                    cursor, (revision, f"k{revision}"), str(revision), random.choice(("", "no", "no")), AT
                )
                assert told.cursor.revision >= cursor.revision
                cursor = told.cursor
            seen.append(cursor.revision)
        assert seen == list(range(11, 21))
