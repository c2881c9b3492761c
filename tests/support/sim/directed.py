"""Schedules written by hand: the shortest story that shows what one rule is for. The seed still draws delays and clocks.

Times are seconds after the set-up, in which `w0` is served at iu and armed. L is 15 s, D 5 s, F 4 s, W 3 s.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.support.sim.network import Weather
from tests.support.sim.schedule import Change, Schedule
from tests.support.sim.trouble import Trouble

COORDINATORS = ("c1", "c2")
MOVE_GIVEN_UP_S = 1.9  # the hub has stopped, and iu is about to be told to give it up


def _schedule(seed: int, *troubles: Trouble, chaos_s: float = 28.0, calm_s: float = 0.5, **fields: object) -> Schedule:
    changes = fields.pop("changes", (Change(-1.0, "place", "w0", "iu"),))
    sites = fields.pop("sites", ("iu", "tacc"))
    return Schedule(seed, sites, COORDINATORS, troubles, changes, chaos_s=chaos_s, calm_s=calm_s, **fields)  # type: ignore[arg-type]


def _cut(at: float, site: str, seconds: float, way: str = "both") -> Trouble:
    return Trouble(at, "cut", site, seconds, (way, *COORDINATORS))


def fair(seed: int) -> Schedule:
    """Nothing goes wrong."""
    return _schedule(seed, chaos_s=3.0)


def stale(seed: int) -> Schedule:
    """Old answers come in place of new ones."""
    return _schedule(seed, chaos_s=10.0, weather=Weather(stale=0.3))


def cut_off(seed: int) -> Schedule:
    """iu is cut off until it was taken over from, and comes back."""
    return _schedule(seed, _cut(1.0, "iu", 22.0), chaos_s=30.0)


def blinked(seed: int) -> Schedule:
    """Answers to iu are lost for a moment; then all is well for long."""
    return _schedule(seed, _cut(1.0, "iu", 2.5, "answers"), chaos_s=5.0, calm_s=50.0)


def deaf(seed: int) -> Schedule:
    """iu is heard and hears nothing."""
    return _schedule(seed, _cut(1.0, "iu", 20.0, "answers"), chaos_s=15.0)


def hung(seed: int) -> Schedule:
    """The agent of iu is stopped: its fencer is all that is left."""
    return _schedule(seed, Trouble(1.0, "pause", "agent-iu", 30.0))


def hung_and_late(seed: int) -> Schedule:
    """The agent is stopped, and the fencer works at the very end of W; iu's clock is slow, the leaders' are fast."""
    rates = (("iu", 0.99), ("tacc", 1.0), ("c1", 1.01), ("c2", 1.01))
    troubles = (Trouble(1.0, "pause", "agent-iu", 30.0), Trouble(6.0, "pause", "fencer-iu", 7.0))
    return _schedule(seed, *troubles, rates=rates, chaos_s=20.0)


def leader_dies(seed: int) -> Schedule:
    """iu is cut off, and soon after that the leader dies: the new one has seen nothing."""
    return _schedule(seed, _cut(1.0, "iu", 25.0), Trouble(4.0, "crash", "leader", 30.0))


def register_gap(seed: int) -> Schedule:
    """iu is cut off; the leader does not reach the register for a moment, and goes on leading."""
    return _schedule(seed, _cut(1.0, "iu", 30.0), Trouble(9.0, "register cut", "leader", 2.4), chaos_s=22.0)


def rearmed_and_deaf(seed: int) -> Schedule:
    """The fencer dies, so that iu is disarmed; it returns, iu is armed again, and never hears of it."""
    troubles = (Trouble(1.0, "crash", "fencer-iu", 7.0), _cut(8.1, "iu", 40.0, "answers"))
    return _schedule(seed, *troubles, chaos_s=38.0)


def journal_lost(seed: int) -> Schedule:
    """iu is disarmed, its journal is lost while w0 runs, it is armed again, and its agent hangs."""
    troubles = [Trouble(1.0, "crash", "fencer-iu", 4.0), Trouble(4.8, "journal lost", "iu", 0.0)]
    return _schedule(seed, *troubles, Trouble(9.0, "pause", "agent-iu", 40.0), chaos_s=32.0)


def standby_returns(seed: int) -> Schedule:
    """The standby is away for so long that iu is disarmed, and returns: the leader wishes iu armed again."""
    return _schedule(seed, Trouble(1.0, "reboot", "tacc", 10.0), chaos_s=25.0)


def fencer_lags(seed: int) -> Schedule:
    """iu is armed again while its fencer is held up for less time than makes it count as silent."""
    troubles = [Trouble(1.0, "crash", "fencer-iu", 7.0)]
    troubles += [Trouble(8.2 + 2 * n, "pause", "fencer-iu", 1.7) for n in range(4)]
    return _schedule(seed, *troubles, chaos_s=18.0)


def restarts(seed: int) -> Schedule:
    """The agent is killed again and again while its renewals are under way for long, and arrive twice."""
    troubles = [Trouble(1.0 + 2.5 * n, "crash", "agent-iu", 0.0) for n in range(8)]
    weather = Weather(slow=0.5, slow_s=4.0, twice=0.3, again_s=3.0)
    return _schedule(seed, *troubles, chaos_s=22.0, weather=weather)


def retired(seed: int) -> Schedule:
    """A class is retired."""
    changes = (Change(-1.0, "place", "w0", "iu"), Change(2.0, "retire", "w0"))
    return _schedule(seed, changes=changes, chaos_s=8.0)


def file_lost(seed: int) -> Schedule:
    """An upgrade of the agent takes the lease file away for a moment."""
    return _schedule(seed, Trouble(3.0, "lease file lost", "iu", 1.5), chaos_s=8.0)


def rebooted(seed: int) -> Schedule:
    """iu loses its power, is taken over from, and comes back without being heard."""
    return _schedule(seed, Trouble(1.0, "reboot", "iu", 20.0), _cut(1.0, "iu", 40.0), chaos_s=30.0)


def rebooted_on_disk(seed: int) -> Schedule:
    """The same, and the runtime directory was on a disk."""
    troubles = (Trouble(1.0, "reboot", "iu", 2.0), _cut(1.0, "iu", 40.0))
    return _schedule(seed, *troubles, chaos_s=25.0, keeps_run=True)


def late_name(seed: int) -> Schedule:
    """A write of the name at the takeover's epoch lands after the class was retired and restored."""
    changes = (Change(-1.0, "place", "w0", "iu"), Change(24.0, "retire", "w0"), Change(28.0, "restore", "w0"))
    return _schedule(seed, _cut(1.0, "iu", 22.0), changes=changes, chaos_s=50.0, names_slow=0.5)


def all_silent(seed: int) -> Schedule:
    """iu and tacc are silent for longer than L; psu, that could take everything, was away until then."""
    changes = (Change(-1.0, "place", "w0", "iu"), Change(-1.0, "place", "w1", "tacc"))
    troubles = (_cut(1.0, "iu", 40.0), _cut(1.0, "tacc", 40.0), _cut(15.0, "psu", 4.0))
    return _schedule(seed, *troubles, sites=("iu", "tacc", "psu"), changes=changes, chaos_s=30.0)


def nobody_left(seed: int) -> Schedule:
    """The standby fell silent together with iu."""
    return _schedule(seed, _cut(1.0, "iu", 40.0), _cut(3.0, "tacc", 40.0), chaos_s=22.0)


def newcomer(seed: int) -> Schedule:
    """psu joins while iu is cut off, and is all that is left."""
    allow = ("iu", "tacc", "psu")
    changes = (Change(-1.0, "place", "w0", "iu", allow), Change(3.0, "join", "psu"), Change(7.0, "seal", "w0"))
    return _schedule(seed, _cut(1.0, "iu", 40.0), _cut(10.0, "tacc", 40.0), changes=changes, chaos_s=24.0)


def rolled_back(seed: int) -> Schedule:
    """An upgrade puts back the lease file of before w0 was armed, while iu is cut off; it is taken over from."""
    troubles = (Trouble(1.0, "lease file rolled back", "iu", 3.0), _cut(1.0, "iu", 40.0))
    return _schedule(seed, *troubles, chaos_s=25.0)


def rolled_back_and_dead(seed: int) -> Schedule:
    """The same, and the agent stays away: the fencer, which was restarted, is all that is left."""
    troubles = (Trouble(1.0, "lease file rolled back", "iu", 40.0), _cut(1.0, "iu", 40.0))
    return _schedule(seed, *troubles, chaos_s=25.0)


def register_away(seed: int) -> Schedule:
    """Nobody reaches the register for long, and then all do again."""
    troubles = (Trouble(1.0, "register away", "", 40.0),)
    return _schedule(seed, *troubles, chaos_s=41.0, calm_s=10.0, failsafe=True)


def promised(seed: int) -> Schedule:
    """iu is cut off from the coordinators, is kept by its peer's promises, and is taken over from by that peer."""
    return _schedule(seed, _cut(1.0, "iu", 40.0), chaos_s=40.0, failsafe=True)


def promised_and_killed(seed: int) -> Schedule:
    """The same; the peer's agent is killed just when it has become the owner, and is there again at once."""
    troubles = (_cut(1.0, "iu", 40.0), *(Trouble(15.0 + 0.7 * n, "crash", "agent-tacc", 0.0) for n in range(8)))
    return _schedule(seed, *troubles, chaos_s=40.0, failsafe=True)


def promised_and_forgotten(seed: int) -> Schedule:
    """The same; when the peer has become the owner, it loses its journal, and its promises with it."""
    troubles = (_cut(1.0, "iu", 40.0), Trouble(20.0, "journal lost", "tacc", 0.0))
    return _schedule(seed, *troubles, chaos_s=40.0, failsafe=True)


def half_asked(seed: int) -> Schedule:
    """iu is cut off from the coordinators and from psu, which is to take over; tacc alone promises."""
    allow = ("iu", "psu")
    changes = (Change(-1.0, "place", "w0", "iu", allow),)
    troubles = (_cut(1.0, "iu", 40.0), Trouble(1.0, "peers cut", "iu", 40.0, ("psu",)))
    sites = ("iu", "tacc", "psu")
    return _schedule(seed, *troubles, sites=sites, changes=changes, chaos_s=38.0, failsafe=True)


def old_promises(seed: int) -> Schedule:
    """Answers of earlier rounds come in place of new ones, while promises are all that keeps w0 open."""
    return _schedule(seed, _cut(1.0, "iu", 40.0), chaos_s=38.0, weather=Weather(stale=0.4), failsafe=True)


def with_homes(seed: int) -> Schedule:
    """Students of w0 work; iu is cut off for so long that it is taken over from, and comes back."""
    return _schedule(seed, _cut(35.0, "iu", 22.0), chaos_s=74.0, calm_s=40.0, homes=("w0",))


MOVE = (Change(-1.0, "place", "w0", "iu"), Change(1.0, "move", "w0", "tacc"))


def moved(seed: int) -> Schedule:
    """w0 is moved to tacc."""
    return _schedule(seed, changes=MOVE, chaos_s=14.0)


def moved_with_late_grants(seed: int) -> Schedule:
    """The same, while old answers come in place of new ones and renewals take seconds."""
    weather = Weather(stale=0.2, slow=0.6, slow_s=2.0)
    return _schedule(seed, changes=MOVE, chaos_s=25.0, weather=weather)


def moved_with_slow_stops(seed: int) -> Schedule:
    """The same, and processes take seconds to end."""
    return _schedule(seed, changes=MOVE, chaos_s=20.0, slow_stop_s=3.0)


def move_given_up(seed: int) -> Schedule:
    """iu gives w0 up, and is not heard; then the move is cancelled."""
    changes = (*MOVE, Change(4.0, "cancel", "w0"))
    return _schedule(seed, _cut(MOVE_GIVEN_UP_S, "iu", 5.0, "requests"), changes=changes, chaos_s=20.0, calm_s=20.0)


DIRECTED: dict[str, Callable[[int], Schedule]] = {
    story.__name__: story
    for story in (
        fair, stale, cut_off, restarts, blinked, deaf, hung, hung_and_late, leader_dies, register_gap,
        rearmed_and_deaf, journal_lost,
        standby_returns, fencer_lags, retired, file_lost, rebooted, rebooted_on_disk, late_name, all_silent,
        nobody_left, newcomer, rolled_back, register_away, promised, promised_and_killed, promised_and_forgotten,
        half_asked, old_promises,
        rolled_back_and_dead, with_homes, moved, moved_with_late_grants, moved_with_slow_stops, move_given_up,
    )
}  # fmt: skip
