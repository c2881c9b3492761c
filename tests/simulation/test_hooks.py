"""An automatic move is never silent, on virtual time: who is told what, when, how often, and by which leader."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from federation.coordinator.hooks_loop import Hooks
from federation.coordinator.move_orders import FailoverOrder
from federation.coordinator.pausing import set_pause
from federation.coordinator.replica import Replica
from federation.core.hooks import TRIES
from federation.model.hooks import Hook, HookCursor, HookEvent
from federation.model.placing import Event
from federation.store import keys
from tests.simulation.test_faults import retire, retired
from tests.simulation.test_place import begin, place, served, until
from tests.simulation.test_takeover import WORKSHOP, armed, owner
from tests.support.memory_hooks import MemoryHooks, Told
from tests.support.virtual import VirtualFederation, virtual_federation

pytestmark = pytest.mark.looptime

CHAT, MAIL = Hook(name="chat", url="http://chat.example.edu/x"), Hook(name="mail", command=("/usr/bin/mail",))
BEGUN, ENDED = ("takeover", "begun"), ("takeover", "ended")
UNPROTECTED, PROTECTED = ("protection", "begun"), ("protection", "ended")
HOLD_S = 40.0


@asynccontextmanager
async def hooked(
    *hooks: Hook, replicas: tuple[str, ...] = ("c1",), **spec: Any
) -> AsyncIterator[tuple[VirtualFederation, Replica, str, MemoryHooks]]:
    """A workshop at iu, armed, with tacc as its standby, and hooks (default: chat) that know of nothing yet."""
    told = MemoryHooks()
    async with virtual_federation() as federation:
        federation.hooks = Hooks(hooks or (CHAT,), told, HOLD_S)
        await begin(federation, *replicas)
        leader = next(r for r in federation.transport.replicas.values() if r.standing.leads)
        for site in ("iu", "tacc"):
            federation.start_fencer(site)
        hub = (await place(leader, **{**WORKSHOP, **spec})).record.document.uid
        await served(leader, hub)
        await until(lambda: armed(leader, "iu", hub))
        yield federation, leader, hub, told


def cursor(replica: Replica, hook: str = "chat") -> HookCursor:
    stored = replica.snapshot.get(keys.hook(hook), HookCursor)
    assert stored is not None
    return stored.document


def events(replica: Replica, kind: str) -> list[Event]:
    return [s.document for s in replica.snapshot.under(keys.EVENTS, Event) if s.document.type == kind]


async def test_a_takeover_is_told_when_it_begins_and_when_the_class_serves_again() -> None:
    async with hooked() as (federation, replica, hub, told):
        await federation.kill_site("iu")
        await until(lambda: told.of("chat") == [BEGUN, ENDED])
        assert owner(replica, hub) == "tacc"
        first = told.told[0].said
        assert (first["classroom"], first["site"]) == ("atm101", "iu")
        assert "iu has not renewed its lease" in first["text"]
        assert len(set(told.ids("chat"))) == 2


async def test_a_site_that_is_silent_is_told_also_if_none_of_its_classes_can_be_moved() -> None:
    chat = CHAT.revise(events=(HookEvent.SITE, HookEvent.TAKEOVER))
    async with hooked(chat) as (federation, replica, hub, told):
        await federation.kill("fencer-iu")
        await until(lambda: not armed(replica, "iu", hub))
        await federation.kill("agent-iu")
        await until(lambda: told.of("chat") == [("site", "begun")])
        assert "virtual: site iu is silent: iu: agent is silent" in told.told[0].said["text"]
        federation.start_agent("iu")
        await until(lambda: told.of("chat") == [("site", "begun"), ("site", "ended")])


async def test_a_takeover_by_a_persons_word_is_told_like_one_that_comes_by_itself() -> None:
    takeovers = CHAT.revise(events=(HookEvent.TAKEOVER,))
    async with hooked(takeovers) as (federation, replica, hub, told):
        await federation.kill("fencer-iu")
        await until(lambda: not armed(replica, "iu", hub))
        await federation.kill_site("iu")
        await asyncio.sleep(30)
        await replica.orders.failover("atm101", FailoverOrder("user/ann", "burns", vouched_site="iu"))
        await until(lambda: told.of("chat") == [BEGUN, ENDED])
        assert owner(replica, hub) == "tacc"
        assert "by user/ann, who vouches that nothing of it runs at iu: burns" in told.told[0].said["text"]


async def test_a_word_about_a_takeover_that_has_begun_begins_no_second_one() -> None:
    takeovers = CHAT.revise(events=(HookEvent.TAKEOVER,))
    async with hooked(takeovers) as (federation, replica, hub, told):
        await federation.kill_site("iu")
        await set_pause(replica.control_service.admission, paused=True, reason="work", actor="user/ann")
        await until(lambda: told.of("chat") == [BEGUN])
        assert owner(replica, hub) == "iu"
        await replica.orders.failover("atm101", FailoverOrder("user/ann", "burns", vouched_site="iu"))
        await until(lambda: told.of("chat") == [BEGUN, ENDED])
        await asyncio.sleep(60)
        assert told.of("chat") == [BEGUN, ENDED]


async def test_what_is_no_news_calls_nobody() -> None:
    async with hooked() as (_federation, replica, hub, told):
        await retire(replica)
        await retired(replica, hub)
        await asyncio.sleep(3 * HOLD_S)
        assert told.told == []


async def test_a_hook_is_told_what_happens_after_it_was_added_and_no_history() -> None:
    told = MemoryHooks()
    async with hooked(replicas=("c1", "c2")) as (federation, leader, hub, _first):
        await federation.kill_site("iu")
        await until(lambda: owner(leader, hub) == "tacc")
        await served(leader, hub)
        for name in ("c1", "c2"):
            await federation.kill(name)
        mail = MAIL.revise(events=(HookEvent.TAKEOVER, HookEvent.FREEZE))
        federation.hooks = Hooks((mail,), told, HOLD_S)
        replica = await federation.start_replica("c1")
        await until(lambda: replica.snapshot.get(keys.hook("mail"), HookCursor) is not None)
        await asyncio.sleep(60)
        assert told.told == []
        await set_pause(replica.control_service.admission, paused=True, reason="work", actor="user/ann")
        await until(lambda: told.of("mail") == [("freeze", "begun")])


async def test_a_hook_that_is_silent_or_refuses_delays_neither_a_takeover_nor_the_others() -> None:
    async with hooked(CHAT, MAIL, Hook(name="pager", command=("/usr/bin/page",))) as (federation, replica, hub, told):
        told.silent.add("chat")
        told.refuse["mail"] = "no route"
        began = federation.clock.mono()
        await federation.kill_site("iu")
        await until(lambda: owner(replica, hub) == "tacc")
        await until(lambda: told.of("pager") == [BEGUN, ENDED])
        assert federation.clock.mono() - began < 60


async def test_calls_are_repeated_with_pauses_that_grow_then_given_up_in_view_of_all() -> None:
    async with hooked() as (_federation, replica, _hub, told):
        told.refuse["chat"] = "answered 500"
        await set_pause(replica.control_service.admission, paused=True, reason="work", actor="user/ann")
        await until(lambda: len(told.told) == 3)
        assert cursor(replica).failures >= 2
        assert cursor(replica).error == "answered 500"
        await until(lambda: bool(events(replica, "hook.given_up")), 600)
        times = [call.at_s for call in told.told[:TRIES]]
        pauses = [later - sooner for sooner, later in itertools.pairwise(times)]
        assert pauses == pytest.approx([1, 2, 4, 8, 16, 32, 60], rel=0.2)
        assert len(set(told.ids("chat"))) == 1
        assert "chat was not told of" in events(replica, "hook.given_up")[0].message
        told.refuse.clear()
        await set_pause(replica.control_service.admission, paused=False, reason="", actor="user/ann")
        await until(lambda: bool(events(replica, "hook.works")))
        assert told.of("chat")[-1] == ("freeze", "ended")
        assert cursor(replica).given_up == 1
        assert cursor(replica).error == ""


async def test_news_that_come_while_a_call_is_repeated_do_not_hurry_it() -> None:
    async with hooked() as (federation, replica, _hub, told):
        told.refuse["chat"] = "answered 500"
        admission = replica.control_service.admission
        await set_pause(admission, paused=True, reason="work", actor="user/ann")
        await until(lambda: len(told.told) == 4)
        before = federation.clock.mono()
        await set_pause(admission, paused=False, reason="", actor="user/ann")
        await until(lambda: len(told.told) == 5)
        assert federation.clock.mono() - before > 5
        assert len(set(told.ids("chat"))) == 1


async def test_a_leader_that_dies_between_the_call_and_its_record_leaves_a_repetition_and_no_gap() -> None:
    """The same id and the same words, so that a receiver can tell; nothing before it is told again."""
    async with hooked(replicas=("c1", "c2")) as (federation, leader, _hub, told):
        admission = leader.control_service.admission
        await set_pause(admission, paused=True, reason="first", actor="user/ann")
        await until(lambda: cursor(leader).event != "")
        killed: list[asyncio.Task[None]] = []

        def kill_the_leader(_told: Told) -> None:
            told.on_call = lambda _told: None
            federation.stores[leader.identity.id].dead = True
            killed.append(asyncio.get_running_loop().create_task(federation.kill(leader.identity.id)))

        told.on_call = kill_the_leader
        await set_pause(admission, paused=False, reason="", actor="user/ann")
        await until(lambda: len(told.told) == 3)
        assert killed
        first, second, third = told.told
        assert (second.said["event"], second.said["turn"]) == ("freeze", "ended")
        assert third.said == second.said
        assert first.said["id"] != second.said["id"]
        other = next(iter(federation.transport.replicas.values()))
        await until(lambda: cursor(other).event == third.said["id"])
        await asyncio.sleep(60)
        assert len(told.told) == 3


async def test_a_new_leader_tells_what_happened_while_nobody_led() -> None:
    async with hooked(replicas=("c1", "c2")) as (federation, leader, _hub, told):
        other = next(r for r in federation.transport.replicas.values() if r is not leader)
        await federation.kill(leader.identity.id)
        await set_pause(other.control_service.admission, paused=True, reason="work", actor="user/ann")
        assert not other.standing.leads
        await until(lambda: told.of("chat") == [("freeze", "begun")])


async def test_a_class_that_is_not_armed_for_a_moment_calls_nobody() -> None:
    async with hooked() as (federation, replica, hub, told):
        for _ in range(4):
            await federation.kill("fencer-iu")
            await until(lambda: not armed(replica, "iu", hub))
            await asyncio.sleep(HOLD_S / 2)
            federation.start_fencer("iu")
            await until(lambda: armed(replica, "iu", hub))
            await asyncio.sleep(20)
        await asyncio.sleep(3 * HOLD_S)
        assert told.told == []


async def test_the_loss_of_protection_is_told_once_and_its_end_once() -> None:
    async with hooked() as (federation, replica, hub, told):
        await federation.kill("fencer-iu")
        await until(lambda: not armed(replica, "iu", hub))
        began = federation.clock.mono()
        await until(lambda: told.of("chat") == [UNPROTECTED], 300)
        assert HOLD_S - 1 < federation.clock.mono() - began < HOLD_S + 40
        assert "fencer" in told.told[0].said["message"]
        await asyncio.sleep(3 * HOLD_S)
        federation.start_fencer("iu")
        await until(lambda: armed(replica, "iu", hub))
        await until(lambda: told.of("chat") == [UNPROTECTED, PROTECTED], 300)


async def test_a_new_leader_neither_repeats_nor_forgets_an_alarm() -> None:
    async with hooked(replicas=("c1", "c2")) as (federation, leader, hub, told):
        other = next(r for r in federation.transport.replicas.values() if r is not leader)
        await federation.kill("fencer-iu")
        await until(lambda: told.of("chat") == [UNPROTECTED], 300)
        await federation.kill(leader.identity.id)
        await until(lambda: other.standing.leads)
        await asyncio.sleep(3 * HOLD_S)
        assert told.of("chat") == [UNPROTECTED]
        federation.start_fencer("iu")
        await until(lambda: told.of("chat") == [UNPROTECTED, PROTECTED], 600)
        assert armed(other, "iu", hub)


async def test_a_pause_is_told_once_and_not_for_each_class() -> None:
    async with hooked() as (_federation, replica, hub, told):
        admission = replica.control_service.admission
        await set_pause(admission, paused=True, reason="storage work", actor="user/ann")
        await asyncio.sleep(3 * HOLD_S)
        await set_pause(admission, paused=False, reason="", actor="user/ann")
        await until(lambda: armed(replica, "iu", hub))
        await asyncio.sleep(3 * HOLD_S)
        assert told.of("chat") == [("freeze", "begun"), ("freeze", "ended")]
        assert "storage work" in told.told[0].said["text"]


async def test_a_class_that_wants_no_standby_is_no_alarm() -> None:
    told = MemoryHooks()
    async with virtual_federation() as federation:
        federation.hooks = Hooks((CHAT,), told, HOLD_S)
        replica = await begin(federation)
        placement = {"allow": ["iu", "tacc"], "prefer": "iu", "standby": "none"}
        await served(replica, (await place(replica, **WORKSHOP, placement=placement)).record.document.uid)
        await asyncio.sleep(3 * HOLD_S)
        assert told.told == []


async def test_copies_that_are_not_made_are_told_with_the_reason() -> None:
    chat = CHAT.revise(events=(HookEvent.COPIES,))
    storage = {"type": "dynamic", "protect": {"every": "1m"}}
    async with hooked(chat, storage=storage) as (federation, _replica, hub, told):
        federation.copies.refusal = "the store is full"
        federation.sites["iu"].start_server(hub, "s01")
        await until(lambda: told.of("chat") == [("copies", "begun")], 1800)
        assert "the store is full" in told.told[0].said["text"]
        federation.copies.refusal = ""
        await until(lambda: told.of("chat") == [("copies", "begun"), ("copies", "ended")], 1800)


async def test_a_freeze_is_told_once_over_a_change_of_leaders_and_its_end_when_it_is_known() -> None:
    chat = CHAT.revise(events=(HookEvent.FREEZE,))
    async with hooked(chat, replicas=("c1", "c2")) as (federation, leader, hub, told):
        other = next(r for r in federation.transport.replicas.values() if r is not leader)
        placement = {"allow": ["iu", "tacc"], "prefer": "tacc"}
        second = (await place(leader, "geo", **WORKSHOP, placement=placement)).record.document.uid
        await served(leader, second)
        await until(lambda: armed(leader, "tacc", second))
        federation.transport.cut |= {"iu", "tacc"}
        await until(lambda: told.of("chat") == [("freeze", "begun")])
        assert "iu and tacc are silent" in told.told[0].said["text"]
        await federation.kill(leader.identity.id)
        await until(lambda: other.standing.leads)
        await asyncio.sleep(120)
        assert told.of("chat") == [("freeze", "begun")]
        federation.transport.cut.clear()
        await until(lambda: told.of("chat") == [("freeze", "begun"), ("freeze", "ended")])
        assert (owner(other, hub), owner(other, second)) == ("iu", "tacc")
