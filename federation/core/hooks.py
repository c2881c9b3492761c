"""What hooks are told, in which words, and when a call that failed is repeated. Pure: one table from events to calls.

Every automatic move is an event already, written in the transaction that makes it. So a hook is called exactly for what
the register says happened, and an event that is not in the table calls nobody.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from federation.model.hooks import Hook, HookCursor, HookEvent, Turn
from federation.model.identity import name_of
from federation.model.placing import Event

TRIES = 8  # of one event; with their pauses about two minutes, and the time that the calls take
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
OLDEST = timedelta(days=1)  # what happened earlier is history: nobody is called for it
LONGEST_ERROR = 300

Meaning = tuple[HookEvent, Turn]

MEANING: dict[str, Meaning] = {
    "failover.admitted": (HookEvent.TAKEOVER, Turn.BEGUN),
    "failover.ordered": (HookEvent.TAKEOVER, Turn.BEGUN),
    "failover.done": (HookEvent.TAKEOVER, Turn.ENDED),
    "failover.withdrawn": (HookEvent.TAKEOVER, Turn.ENDED),
    "unseen.admitted": (HookEvent.TAKEOVER, Turn.BEGUN),
    "unseen.done": (HookEvent.TAKEOVER, Turn.ENDED),
    "failover.frozen": (HookEvent.FREEZE, Turn.BEGUN),
    "failover.unfrozen": (HookEvent.FREEZE, Turn.ENDED),
    "federation.paused": (HookEvent.FREEZE, Turn.BEGUN),
    "federation.resumed": (HookEvent.FREEZE, Turn.ENDED),
    "alarm.site": (HookEvent.SITE, Turn.BEGUN),
    "alarm.site.over": (HookEvent.SITE, Turn.ENDED),
    "alarm.protection": (HookEvent.PROTECTION, Turn.BEGUN),
    "alarm.protection.over": (HookEvent.PROTECTION, Turn.ENDED),
    "alarm.copies": (HookEvent.COPIES, Turn.BEGUN),
    "alarm.copies.over": (HookEvent.COPIES, Turn.ENDED),
    "alarm.room": (HookEvent.ROOM, Turn.BEGUN),
    "alarm.room.over": (HookEvent.ROOM, Turn.ENDED),
    "drill.begun": (HookEvent.DRILL, Turn.BEGUN),
    "drill.passed": (HookEvent.DRILL, Turn.ENDED),
    "drill.failed": (HookEvent.DRILL, Turn.ENDED),
    "drill.given-up": (HookEvent.DRILL, Turn.ENDED),
    "alarm.register": (HookEvent.REGISTER, Turn.BEGUN),
    "alarm.register.over": (HookEvent.REGISTER, Turn.ENDED),
}

SENTENCES: dict[Meaning, str] = {
    (HookEvent.TAKEOVER, Turn.BEGUN): "{what} is to be taken over by another site",
    (HookEvent.TAKEOVER, Turn.ENDED): "the takeover of {what} is over",
    (HookEvent.FREEZE, Turn.BEGUN): "no class is moved by itself",
    (HookEvent.FREEZE, Turn.ENDED): "classes are moved by themselves again",
    (HookEvent.SITE, Turn.BEGUN): "site {what} is silent",
    (HookEvent.SITE, Turn.ENDED): "site {what} is heard again",
    (HookEvent.PROTECTION, Turn.BEGUN): "{what} is not protected against an outage of its site",
    (HookEvent.PROTECTION, Turn.ENDED): "{what} needs no attention for its protection any more",
    (HookEvent.COPIES, Turn.BEGUN): "the copies of the homes of {what} are stale",
    (HookEvent.COPIES, Turn.ENDED): "{what} needs no attention for its copies any more",
    (HookEvent.ROOM, Turn.BEGUN): "{what} is about to meet, and has not all of its seats",
    (HookEvent.ROOM, Turn.ENDED): "{what} lacks no seats any more",
    (HookEvent.DRILL, Turn.BEGUN): "a takeover of {what} is rehearsed: it moves to its standby and back",
    (HookEvent.DRILL, Turn.ENDED): "the rehearsal of a takeover of {what} is over",
    (HookEvent.REGISTER, Turn.BEGUN): "the register is not as it should be",
    (HookEvent.REGISTER, Turn.ENDED): "the register is well again",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One event as a hook is told it. `body` is the same, byte for byte, whoever calls and however often; `facts` are
    its fields as a command finds them in its environment."""

    id: str
    body: bytes
    facts: dict[str, str]


def meaning_of(event: Event) -> Meaning | None:
    """What a hook would be called for; None: nobody is."""
    return MEANING.get(event.type)


def call_of(federation: str, key: str, event: Event) -> Call | None:
    """The call for the event with this key (without its folder), or None. The key is drawn with the event and never
    used again, so that it is the id by which a receiver knows a repetition."""
    meaning = meaning_of(event)
    if meaning is None:
        return None
    kind, turn = meaning
    what = name_of(event.hub) if event.hub else event.site
    return _call(federation, key, event, (kind.value, turn.value), f"{SENTENCES[meaning].format(what=what)}: ")


def trial_of(federation: str, key: str, at: datetime, actor: str) -> Call:
    """A call that says of itself that nothing happened."""
    event = Event(at=at, type="hooks.test", message=f"{actor} tries this hook; nothing has happened", actor=actor)
    return _call(federation, key, event, ("test", ""), "")


def _call(federation: str, key: str, event: Event, words: tuple[str, str], sentence: str) -> Call:
    fields = {
        "id": key,
        "federation": federation,
        "event": words[0],
        "turn": words[1],
        "at": event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "classroom": name_of(event.hub) if event.hub else "",
        "hub": event.hub,
        "site": event.site,
        "type": event.type,
        "message": event.message,
        "actor": event.actor,
        "text": f"{federation}: {sentence}{event.message}",
    }
    return Call(key, json.dumps(fields, sort_keys=True, ensure_ascii=False).encode(), fields)


def pause_s(failures: int) -> float:
    """Before the next call, after so many failures in a row, whatever they were called for."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(max(failures - 1, 0), 16))


@dataclass(frozen=True, slots=True)
class Told:
    """The cursor after a call, and what that means: an event is given up when its tries are used up, and a hook works
    again when a call succeeds after one that was given up."""

    cursor: HookCursor
    given_up: bool = False
    works_again: bool = False


def after_call(cursor: HookCursor, place: tuple[int, str], event: str, error: str, now: datetime) -> Told:
    """What is recorded after a call for the event at `place` (revision, key) with this id ended with `error` (empty: it
    succeeded)."""
    if not error:
        done = cursor.revise(
            revision=place[0], key=place[1], event=event, called=now, error="", failures=0, tries=0, last_given_up=""
        )
        return Told(done, works_again=bool(cursor.last_given_up))
    failed = cursor.revise(
        event=event,
        called=now,
        error=error[:LONGEST_ERROR],
        failures=cursor.failures + 1,
        tries=cursor.tries + 1,
    )
    return given_up(failed, place, event) if failed.tries >= TRIES else Told(failed)


def given_up(cursor: HookCursor, place: tuple[int, str], event: str) -> Told:
    """The hook is not told of this event any more; the next one is tried."""
    fields = {"revision": place[0], "key": place[1], "tries": 0, "given_up": cursor.given_up + 1}
    return Told(cursor.revise(**fields, last_given_up=event), given_up=True)


def wants(hook: Hook, event: Event) -> bool:
    """Whether the hook is called for the event."""
    meaning = meaning_of(event)
    return meaning is not None and meaning[0] in hook.events


def for_register(hooks: Sequence[Hook]) -> tuple[Hook, ...]:
    """Those that each coordinator calls itself, for there is no leader and no cursor without the register."""
    return tuple(hook for hook in hooks if HookEvent.REGISTER in hook.events)
