"""What a change is said to do is what drivers do: no change that restarts a hub is shown as one that nobody notices.

The hub of a local site restarts when its settings differ, and a student's server is outdated when the server's settings
differ; `differences` decides from the fields alone whether a change waits for a gap between meetings.
"""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.drivers.base import HubOrder
from agents.drivers.local.hub_file import hub_settings, server_settings
from federation.model.classroom import Classroom
from federation.model.effects import Effect, differences
from federation.model.identity import Epoch
from tests.property.test_bridge import optional, options, specs
from tests.support.classrooms import classroom

roomy = {"term": {"start": "2026-08-24", "end": "2026-08-30", "timezone": "UTC"}}  # a workshop may share a password
sign_in = st.sampled_from(
    [
        {"type": "dummy"},
        {"type": "dummy", "secret": "shared"},
        {"type": "github", "secret": "oauth"},
        {"type": "github", "secret": "oauth", "options": {"a.b": 1}},
        {"type": "github", "secret": "oauth", "options": {"a": {"b": 1}}},
        {"type": "github", "secret": "oauth", "options": {"a": None}},
    ]
)
seats = st.fixed_dictionaries(
    {"expected": st.integers(25, 40), "admins": st.just(["ann"])},
    optional={"users": st.just(["s01", "s02"]), "admit": st.just("roster")},
)
limits = optional(
    active_servers=st.integers(30, 48), start_timeout=st.sampled_from([300, 600]), concurrent_spawns=st.integers(1, 2)
)
hosts = st.sampled_from(["a.localhost", "b.localhost"]).map(lambda host: {"host": host})


@st.composite
def classrooms(draw: st.DrawFn) -> Classroom:
    """Any class, with more of what hubs are started with than others have."""
    spec: dict[str, Any] = {**draw(specs), "roster": draw(seats), "limits": draw(limits), "dns": draw(hosts)}
    spec.pop("meetings", None)
    spec["auth"] = draw(sign_in | options.map(lambda given: {"type": "cilogon", "secret": "oauth", "options": given}))
    return classroom("atm101", **{**spec, **draw(st.sampled_from([{}, roomy]))})


def order(wanted: Classroom) -> HubOrder:
    url = f"http://{wanted.spec.dns.host}:8000"
    return HubOrder("atm101-abc123", "atm101", Epoch(era=1, n=1), 1, wanted, url, {"auth": "s"})


def with_roster(expected: int, **limits: int) -> Classroom:
    return classroom(roster={"expected": expected, "admins": ["ann"]}, limits=limits)


def effects(before: Classroom, after: Classroom) -> dict[str, Effect]:
    return {change.path: change.effect for change in differences(before, after)}


@settings(deadline=None, max_examples=150)
@given(classrooms(), classrooms())
@example(with_roster(1), with_roster(2))
@example(with_roster(1, active_servers=3), with_roster(2))
@example(
    classroom(auth={"type": "dummy", "options": {"a.b": 1}}),
    classroom(auth={"type": "dummy", "options": {"a": {"b": 1}}}),
)
def test_what_restarts_a_hub_is_said_to_restart_it(before: Classroom, after: Classroom) -> None:
    found = set(effects(before, after).values())
    if hub_settings(order(before)) != hub_settings(order(after)):
        assert Effect.RESTART in found
    if server_settings(order(before)) != server_settings(order(after)):
        assert found & {Effect.NEXT_SERVER, Effect.RESTART}
    assert bool(found) is (before != after)


def test_more_students_restart_the_hub_only_where_the_limit_of_servers_follows_their_number() -> None:
    path = "spec.roster.expected"

    assert effects(with_roster(1), with_roster(2))[path] is Effect.RESTART
    assert effects(with_roster(1, active_servers=9), with_roster(2, active_servers=9))[path] is Effect.LIVE
    assert effects(with_roster(1, active_servers=9), with_roster(2, active_servers=8))[path] is Effect.LIVE
    assert effects(with_roster(4), with_roster(5, active_servers=6))[path] is Effect.RESTART
