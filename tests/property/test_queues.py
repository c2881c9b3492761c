"""The two queues behind the loops, against the plain scans that they replace."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from federation.coordinator.turns import Turns
from federation.runtime.agenda import Agenda

NAMES = st.sampled_from("abcdefg")
TIMES = st.integers(0, 20).map(float)
PATIENCE_S = 3.0


@dataclass
class PlainAgenda:
    due: dict[str, float] = field(default_factory=dict)

    def take(self, now: float, most: int) -> list[str]:
        ready = [key for _at, key in sorted((at, key) for key, at in self.due.items() if at <= now)[: max(most, 0)]]
        for key in ready:
            del self.due[key]
        return ready


SET, ADD = (st.tuples(st.just(word), NAMES, TIMES) for word in ("set", "add"))
TAKE = st.tuples(st.just("take"), TIMES, st.integers(-1, 4))


@given(st.lists(st.one_of(SET, ADD, TAKE), max_size=60))
def test_an_agenda_gives_what_is_due_by_time_and_then_by_name(steps: list[tuple[str, str | float, float]]) -> None:
    agenda, plain = Agenda(), PlainAgenda()
    for word, first, second in steps:
        if word == "set":
            agenda.set(str(first), second)
            plain.due[str(first)] = second
        elif word == "add":
            agenda.add(str(first), second)
            plain.due.setdefault(str(first), second)
        else:
            assert agenda.take(float(first), int(second)) == plain.take(float(first), int(second))
        assert agenda.soonest() == min(plain.due.values(), default=None)
        assert len(agenda) == len(plain.due)


@given(st.lists(st.tuples(NAMES, st.integers(-3, 3), st.floats(0, 2), st.booleans()), max_size=120))
def test_a_turn_is_the_most_urgent_ones_of_those_who_still_ask(steps: list[tuple[str, int, float, bool]]) -> None:
    turns, asked, now = Turns(PATIENCE_S), dict[str, tuple[int, float]](), 0.0
    for name, urgency, later, done in steps:
        now += later
        asked[name] = urgency, now
        rivals = [other for other, at in asked.values() if now - at < PATIENCE_S]
        assert turns.ask(name, urgency, now) is (min(rivals) >= urgency)
        if done:
            turns.done(name)
            del asked[name]
