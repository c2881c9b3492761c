"""What goes wrong in a run, drawn from its seed: pure data, so that a run can be described before and after it happened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from tests.support.sim.network import Weather
from tests.support.sim.register import Errors
from tests.support.sim.trouble import Trouble, covered

CHAOS_S = 90.0
HOMES_CALM_S = 110.0  # what a lost site had not sent is saved, put into place and copied in this time
CALM_S = 65.0
FIRST_S = 2.0


@dataclass(frozen=True, slots=True)
class Change:
    """What a user does to a class: place, change, retire, restore, move (to `prefer`), cancel a move. `at`: seconds into
    the chaos; before 0: set up."""

    at: float
    what: str
    name: str
    prefer: str = "iu"
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedule:
    seed: int
    sites: tuple[str, ...]
    coordinators: tuple[str, ...]
    troubles: tuple[Trouble, ...]
    changes: tuple[Change, ...]
    weather: Weather = field(default_factory=Weather)
    errors: Errors = field(default_factory=Errors)
    names_failing: float = 0.0
    names_slow: float = 0.0
    late_start_s: float = 0.0
    slow_stop_s: float = 0.5
    rates: tuple[tuple[str, float], ...] = ()  # of machines' clocks, in place of drawn ones
    failsafe: bool = False  # sites can ask each other while no coordinator answers
    homes: tuple[str, ...] = ()  # classes whose students have homes; the others are workshops
    keeps_run: bool = False  # for a planted bug: the runtime directories are on disks, which survive a reboot
    chaos_s: float = CHAOS_S
    calm_s: float = CALM_S

    def without(self, *troubles: Trouble) -> Schedule:
        """The same run with less going wrong."""
        return replace(self, troubles=tuple(t for t in self.troubles if t not in troubles))


def draw(seed: int) -> Schedule:
    """The schedule of a seed."""
    random = Random(f"schedule {seed}")
    sites = ("iu", "tacc") if random.random() < 0.75 else ("iu", "tacc", "psu")
    coordinators = ("c1", "c2") if random.random() < 0.5 else ("c1", "c2", "c3")
    troubles: list[Trouble] = []
    for _ in range(random.randint(2, 5)):
        at = FIRST_S + (CHAOS_S - 30) * random.random()
        story = random.choices(STORIES, WEIGHTS)[0]
        troubles.extend(story(random, at, sites, coordinators))
    bad = random.random  # most runs have only some of the small evils
    weather = Weather(
        loss=0.15 * bad() if bad() < 0.4 else 0.0,
        slow=0.2 * bad() if bad() < 0.5 else 0.01,
        slow_s=1 + 5 * bad(),
        twice=0.1 if bad() < 0.5 else 0.0,
        stale=0.05 if bad() < 0.4 else 0.0,
    )
    errors = Errors(
        definite=0.05 * bad() if bad() < 0.3 else 0.0,
        applied=0.04 * bad() if bad() < 0.4 else 0.0,
        not_applied=0.03 * bad() if bad() < 0.3 else 0.0,
        late=0.02 * bad() if bad() < 0.4 else 0.0,
        slow=0.1 * bad() if bad() < 0.4 else 0.0,
        lag=0.1 if bad() < 0.4 else 0.0,
    )
    changes, more = _changes(random, sites), Random(f"more of {seed}")
    homes = _homes(more, changes)
    if more.random() < AWAY:
        return _away(seed, more, sites, coordinators, changes, homes)
    troubles.extend(_more(more, sites, homes))
    return Schedule(
        seed,
        sites,
        coordinators,
        tuple(sorted(covered(troubles, sites), key=lambda t: t.at)),
        changes=changes,
        failsafe=more.random() < 0.5,
        homes=homes,
        calm_s=HOMES_CALM_S if homes else CALM_S,
        weather=weather,
        errors=errors,
        names_failing=0.1 if bad() < 0.2 else 0.0,
        names_slow=0.3 if bad() < 0.2 else 0.0,
        late_start_s=3 * bad() if bad() < 0.4 else 0.0,
        slow_stop_s=0.3 + 3 * bad() if bad() < 0.4 else 0.5,
    )


def _changes(random: Random, sites: tuple[str, ...]) -> tuple[Change, ...]:
    names = [f"w{n}" for n in range(random.randint(2, 4))]
    changes = [Change(-1.0, "place", name, random.choice(sites)) for name in names]
    for name in names:
        draw = random.random()
        at = CHAOS_S * 0.8 * random.random()
        if draw < 0.15:
            changes.append(Change(at, "retire", name))
            if random.random() < 0.5:
                changes.append(Change(at + 5 + 20 * random.random(), "restore", name))
        elif draw < 0.3:
            changes.append(Change(at, "change", name, random.choice(sites)))
        elif draw < 0.4:
            changes.append(Change(at, "place", f"{name}x", random.choice(sites)))
    return (*changes, *_moves(Random(f"moves {random.random()}"), names, sites))


def _homes(random: Random, changes: tuple[Change, ...]) -> tuple[str, ...]:
    """In most runs some classes have homes."""
    share = random.choice((0.0, 0.5, 0.9))
    return tuple(c.name for c in changes if c.what == "place" and random.random() < share)


def _more(random: Random, sites: tuple[str, ...], homes: tuple[str, ...]) -> Iterator[Trouble]:
    """What only copies of homes and the failsafe can suffer from."""
    at, seconds = FIRST_S + (CHAOS_S - 30) * random.random(), _long(random)
    if homes and random.random() < 0.4:
        yield Trouble(at, random.choice(("copies down", "copies slow")), "", seconds)
    if random.random() < 0.2:
        yield Trouble(at, "peers cut", random.choice(sites), seconds, sites)
    if random.random() < 0.15:
        yield Trouble(at, random.choice(("lease file rolled back", "run emptied")), random.choice(sites), seconds)


def _away(
    seed: int,
    random: Random,
    sites: tuple[str, ...],
    coordinators: tuple[str, ...],
    changes: tuple[Change, ...],
    homes: tuple[str, ...],
) -> Schedule:
    """The register is away for however long, and nothing else goes wrong but a slow line now and then."""
    return Schedule(
        seed,
        sites,
        coordinators,
        (Trouble(FIRST_S, "register away", "", CHAOS_S),),
        changes=tuple(change for change in changes if change.at < 0),
        weather=Weather(slow=0.1 * random.random(), slow_s=0.5),
        failsafe=True,
        homes=homes,
    )


def _moves(random: Random, names: list[str], sites: tuple[str, ...]) -> Iterator[Change]:
    """Planned moves at bad moments; some are given up on the way."""
    for name in names:
        if random.random() < 0.4:
            at = CHAOS_S * 0.9 * random.random()
            yield Change(at, "move", name, random.choice(sites))
            if random.random() < 0.3:
                yield Change(at + 5 * random.random(), "cancel", name)


Story = Callable[[Random, float, tuple[str, ...], tuple[str, ...]], list[Trouble]]


def _long(random: Random) -> float:
    """Around and beyond D, L: what makes leases lapse and takeovers happen."""
    return random.choice((2.0, 6.0, 11.0, 14.5, 16.0, 20.0, 30.0)) + 3 * random.random()


def _cut(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    some = coordinators if random.random() < 0.6 else tuple(random.sample(coordinators, 1))
    way = random.choice(("both", "both", "requests", "answers"))
    return [Trouble(at, "cut", random.choice(sites), _long(random), (way, *some))]


def _deaf(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    return [Trouble(at, "cut", random.choice(sites), 25 + 15 * random.random(), ("answers", *coordinators))]


def _pause(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    names = [f"agent-{s}" for s in sites] * 3 + [f"fencer-{s}" for s in sites] + list(coordinators) + ["leader"] * 3
    return [Trouble(at, "pause", random.choice(names), _long(random))]


def _crash(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    names = [f"agent-{s}" for s in sites] * 3 + [f"fencer-{s}" for s in sites] + list(coordinators) + ["leader"] * 3
    seconds = random.choice((0.0, 1.0, _long(random)))
    return [Trouble(at, "crash", random.choice(names), seconds)]


def _reboot(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    return [Trouble(at, "reboot", random.choice(sites), random.choice((1.0, 4.0, _long(random), 25.0)))]


def _machine(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    return [
        Trouble(at, "machine pause", random.choice((*sites, *coordinators)), random.choice((0.5, 3.0, _long(random))))
    ]


def _register(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    some = ("leader",) if random.random() < 0.4 else coordinators
    return [Trouble(at, "register cut", name, _long(random)) for name in some]


def _disk(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    return [Trouble(at, "disk full", random.choice(sites), _long(random))]


def _files(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    kind = random.choice(("journal lost", "lease file lost", "journal and boot lost"))
    return [Trouble(at, kind, random.choice(sites), random.choice((0.0, 1.0, _long(random))))]


def _small(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    kind = random.choice(("hub killed", "edge killed", "names down"))
    return [Trouble(at, kind, random.choice(sites), _long(random))]


def _hung_then_fencer(
    random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]
) -> list[Trouble]:
    """The agent hangs for long: its fencer alone is left."""
    return [Trouble(at, "pause", f"agent-{random.choice(sites)}", 20 + 10 * random.random())]


def _leader_dies_with_site(
    random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]
) -> list[Trouble]:
    site = random.choice(sites)
    gone = (
        Trouble(at, "reboot", site, 30.0)
        if random.random() < 0.5
        else Trouble(at, "cut", site, 30.0, ("both", *coordinators))
    )
    late = at + 20 * random.random()
    kind = random.choice(("crash", "pause", "register cut"))
    return [gone, Trouble(late, kind, "leader", random.choice((1.0, 3.0, 8.0, 16.0)))]


def _leader_dies_in_takeover(
    random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]
) -> list[Trouble]:
    """It is killed or frozen just as the transaction leaves, or just as it is carried out; or the answer is lost."""
    site, when = random.choice(sites), random.choice(("sent", "done"))
    what = random.choice(("crash", "pause", "register cut"))
    gone = Trouble(at, "cut", site, 18 + 15 * random.random(), ("both", *coordinators))
    return [Trouble(at, "strike", "leader", 2 + 20 * random.random(), (when, what)), gone]


def _back_in_time(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    """Cut off for about L: it comes back just as it is being taken over, and transactions are slow."""
    site = random.choice(sites)
    seconds = 14.0 + 4 * random.random()
    return [
        Trouble(at, "cut", site, seconds, ("both", *coordinators)),
        Trouble(at + seconds - 2, "register slow", "", 6.0),
    ]


def _all_silent(random: Random, at: float, sites: tuple[str, ...], coordinators: tuple[str, ...]) -> list[Trouble]:
    """More than one site is silent for longer than L: nothing may be moved."""
    return [Trouble(at + random.random(), "cut", s, 22 + 8 * random.random(), ("both", *coordinators)) for s in sites]


STORIES: tuple[Story, ...] = (
    _cut, _deaf, _pause, _crash, _reboot, _machine, _register, _disk, _files, _small, _hung_then_fencer,
    _leader_dies_with_site, _leader_dies_in_takeover, _back_in_time, _all_silent,
)  # fmt: skip
WEIGHTS = (5, 2, 4, 4, 3, 1, 3, 1.5, 2, 2, 2, 3, 3, 3, 1.5)
AWAY = 0.06  # of all runs are only about a register that is away
