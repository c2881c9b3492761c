"""Who takes a silent site's hub over, and why nobody does: one table of situations (DESIGN.md 4.2)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from federation.core.takeover import Go, Hold, HubAtRisk, Nothing, SiteSight, Target, World, judge
from federation.model.identity import Epoch, Member, Members
from federation.model.ownership import ArmedRun, EarlierOwner, Mode, Owned, Ownership, WantedMode

E1 = Epoch(era=1, n=1)
IU, TACC = SiteSight("iu", 16.0, 41, hubs=2, members_ack=2), SiteSight("tacc", 0.4, 57, hubs=0, members_ack=2)
MEMBERS = Members(version=2, members=(Member(site="iu", uid="a", since=1), Member(site="tacc", uid="b", since=2)))
WORLD = World(takeover_s=15.0, fresh_s=2.0, sites={"iu": IU, "tacc": TACC}, members=MEMBERS)
HEARD = ArmedRun(incarnation=1, seq=3, heard=True)
HUB = HubAtRisk(
    ownership=Ownership(hub="h", owner="iu", epoch=E1),
    owned=Owned(hub="h", epoch=E1, armed=HEARD),
    wanted=WantedMode(hub="h", epoch=E1, mode=Mode.ARMED),
    targets=(Target("tacc"),),
)


def seen(**sites: dict[str, Any]) -> World:
    return replace(WORLD, sites={name: replace(WORLD.sites[name], **sites.get(name, {})) for name in WORLD.sites})


def test_a_hub_of_a_silent_site_goes_to_its_standby_guarded_by_the_lease_that_was_counted() -> None:
    verdict = judge(HUB, WORLD)
    assert isinstance(verdict, Go)
    assert (verdict.source, verdict.target, verdict.counted) == ("iu", "tacc", 41)


def test_before_l_has_passed_there_is_nothing_to_do() -> None:
    assert isinstance(judge(HUB, seen(iu={"silent_s": 15.0})), Nothing)


def test_a_failover_that_has_begun_waits_for_a_new_leader_to_count_and_ends_when_the_site_renews() -> None:
    begun = replace(HUB, counted=41)
    assert isinstance(judge(begun, seen(iu={"silent_s": 3.0})), Hold)
    assert isinstance(judge(begun, seen(iu={"silent_s": 3.0, "counting": False})), Hold)
    renewed = judge(begun, seen(iu={"silent_s": 0.1, "revision": 60}))
    assert renewed == Nothing("iu renewed its lease")


@pytest.mark.parametrize(
    ("hub", "world", "words"),
    [
        ({"owned": Owned(hub="h", epoch=E1)}, {}, "standing, so it may still run at iu"),
        ({"owned": Owned(hub="h", epoch=E1, armed=HEARD.revise(heard=False))}, {}, "only an operator can move it"),
        ({"wanted": HUB.wanted and HUB.wanted.revise(mode=Mode.STANDING, reasons=("no witness",))}, {}, "no witness"),
        ({"wanted": None}, {}, "nobody has looked at it yet"),
        ({"moved_s": 1200.0}, {}, "moved by itself 20 min ago"),
        ({"targets": ()}, {}, "no other site is allowed"),
        ({"targets": (Target("tacc", "needs 9 cores"),)}, {}, "tacc: needs 9 cores"),
        ({"turn": False}, {}, "tacc starts other classes first"),
        ({}, {"tacc": {"silent_s": 2.5}}, "tacc: it is silent itself"),
        ({}, {"tacc": {"counting": False}}, "its lease was not seen yet"),
        ({}, {"iu": {"members_ack": 1}}, "iu has not acknowledged it as a member"),
        ({}, {"tacc": {"silent_s": 16.0, "hubs": 1}}, "iu and tacc are silent"),
    ],
)
def test_a_hub_stays_where_it_is_and_the_reason_is_shown(
    hub: dict[str, Any], world: dict[str, dict[str, Any]], words: str
) -> None:
    verdict = judge(replace(HUB, **hub), seen(**world))
    assert isinstance(verdict, Hold)
    assert words in verdict.reason


def test_a_pause_holds_everything() -> None:
    verdict = judge(HUB, replace(WORLD, paused="storage work until noon"))
    assert verdict == Hold("automatic moves are paused: storage work until noon")


def test_an_earlier_owner_that_has_not_closed_must_know_the_target_too() -> None:
    """It may still serve by what its own peers promised it, and it never asked one that joined later (H5)."""
    left = EarlierOwner(site="mars", epoch=E1, members_ack=1)
    verdict = judge(replace(HUB, ownership=HUB.ownership.revise(earlier=(left,))), WORLD)
    assert isinstance(verdict, Hold)
    assert "mars, which has not confirmed that it closed" in verdict.reason
    itself = EarlierOwner(site="tacc", epoch=E1, members_ack=0)
    assert isinstance(judge(replace(HUB, ownership=HUB.ownership.revise(earlier=(itself,))), WORLD), Go)


def test_a_hub_that_has_ended_meanwhile_is_left_alone() -> None:
    ended = HUB.ownership.revise(owner=None, tombstone=True)
    assert isinstance(judge(replace(HUB, ownership=ended), WORLD), Nothing)
    assert isinstance(judge(replace(HUB, owned=Owned(hub="h", epoch=E1.next(), armed=HEARD)), WORLD), Nothing)
