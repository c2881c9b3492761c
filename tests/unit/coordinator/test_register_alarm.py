"""A fault of the register is told by each coordinator itself, once, over restarts, and so is its end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from federation.coordinator.hooks_loop import Hooks
from federation.coordinator.register_alarm import RegisterAlarm, RegisterSight
from federation.core.hooks import TRIES
from federation.model.errors import RegisterFault
from federation.model.hooks import Hook, HookEvent
from federation.store import keys
from federation.store.interface import Put, Transaction
from federation.store.memory import MemoryStore
from federation.store.mirror import Mirror
from federation.store.register import Changes, Register
from tests.support.memory_hooks import MemoryHooks
from tests.support.virtual import UUID, MemoryDisk, VirtualClock

pytestmark = pytest.mark.looptime

CHAT, MAIL = Hook(name="chat", url="http://chat.example.edu/x"), Hook(name="mail", command=("/usr/bin/mail",))
OTHER = Hook(name="other", url="http://chat.example.edu/y", events=(HookEvent.TAKEOVER,))
BEGUN, ENDED = ("register", "begun"), ("register", "ended")


class Here:
    """One coordinator's alarm and disk; `alarm` is that of a process, and a new process has a new one."""

    def __init__(self) -> None:
        self.hooks, self.disk = MemoryHooks(), MemoryDisk()
        self.alarm = self.restarted()

    def restarted(self) -> RegisterAlarm:
        told = Hooks((CHAT, MAIL, OTHER), self.hooks, 120.0)
        self.alarm = RegisterAlarm("c1", "hubs", told, self.disk, Path("/state/register-alarm.json"), VirtualClock())
        return self.alarm

    async def rounds(self, problem: str | None, seconds: float = 10.0) -> None:
        """As `watch`, for so long."""
        task = asyncio.get_running_loop().create_task(self.alarm.watch(lambda: problem))
        await asyncio.sleep(seconds)
        task.cancel()


@pytest.fixture
def here() -> Here:
    return Here()


async def test_a_fault_is_told_once_to_each_hook_that_wants_it_and_its_end_once(here: Here) -> None:
    await here.rounds("it is empty")
    assert here.hooks.of("chat") == here.hooks.of("mail") == [BEGUN]
    assert here.hooks.told[0].said["text"] == "hubs: the register is not as it should be: seen by c1: it is empty"
    await here.rounds("")
    assert here.hooks.of("chat") == here.hooks.of("mail") == [BEGUN, ENDED]
    assert here.hooks.of("other") == []
    assert here.disk.files == {}


async def test_without_a_fault_nothing_is_told(here: Here) -> None:
    await here.rounds("", 100)
    assert here.hooks.told == []


async def test_a_coordinator_that_cannot_start_and_is_started_again_and_again_tells_it_once(here: Here) -> None:
    for _ in range(5):
        await here.restarted().tell_once("this is register X")
    assert here.hooks.of("chat") == [BEGUN]
    here.restarted()
    await here.rounds("")
    assert here.hooks.of("chat") == [BEGUN, ENDED]


async def test_while_it_is_not_known_whether_the_register_is_well_again_nothing_is_said_to_be_over(here: Here) -> None:
    await here.restarted().tell_once("this is register X")
    here.restarted()
    await here.rounds(None)
    assert here.hooks.of("chat") == [BEGUN]


async def test_a_hook_that_did_not_take_it_is_called_again_with_the_same_id_and_given_up_in_the_end(here: Here) -> None:
    here.hooks.refuse["mail"] = "no route"
    await here.rounds("it is empty", 600)
    assert here.hooks.of("chat") == [BEGUN]
    assert here.hooks.of("mail") == [BEGUN] * TRIES
    assert len(set(here.hooks.ids("mail"))) == 1


async def test_a_fault_that_comes_back_has_a_new_id(here: Here) -> None:
    for _ in range(2):
        await here.rounds("it is empty")
        await here.rounds("")
    assert here.hooks.of("chat") == [BEGUN, ENDED, BEGUN, ENDED]
    assert len(set(here.hooks.ids("chat"))) == 4


async def test_a_full_disk_does_not_make_it_tell_the_same_over_and_over(here: Here) -> None:
    here.disk.full = True
    await here.rounds("it is empty", 300)
    assert here.hooks.of("chat") == [BEGUN]


async def test_a_damaged_file_is_no_reason_to_be_silent(here: Here) -> None:
    here.disk.files[Path("/state/register-alarm.json")] = b"{"
    await here.rounds("it is empty")
    assert here.hooks.of("chat") == [BEGUN]


# --- what is a fault ---


class Silent(MemoryStore):
    """A register that stops answering."""

    silent = False

    async def list(self, prefix: str, *, timeout_s: float | None = None) -> Any:
        if self.silent:
            await asyncio.sleep(10_000)
        return await super().list(prefix, timeout_s=timeout_s)


async def test_another_register_under_the_same_address_is_a_fault_until_it_is_ours_again() -> None:
    store = MemoryStore(VirtualClock())
    register = await Register.open(store, UUID)
    sight = RegisterSight(VirtualClock(), 120.0, register)
    assert not sight.problem()
    (ours,) = [e for e in (await store.list("")).entries if e.key == keys.REGISTER_ID]
    await store.commit(Transaction(puts=(Put(keys.REGISTER_ID, b"another"),)))
    with pytest.raises(RegisterFault):
        await register.commit(Changes().read("x"))
    assert sight.problem() == "the register's id changed"
    await store.commit(Transaction(puts=(Put(keys.REGISTER_ID, ours.value),)))
    await register.commit(Changes().read("x"))
    assert not sight.problem()


async def test_a_register_that_was_seen_to_be_older_stays_a_fault() -> None:
    register = await Register.open(MemoryStore(VirtualClock()), UUID)
    sight = RegisterSight(VirtualClock(), 120.0, register)
    register.distrust("the register is at revision 3, 9 was seen before")
    assert "9 was seen before" in (sight.problem() or "")


async def test_a_register_that_does_not_answer_for_long_enough_is_one() -> None:
    clock = VirtualClock()
    store = Silent(clock)
    sight = RegisterSight(clock, 120.0)
    sight.register = await Register.open(store, UUID)
    sight.mirror = Mirror(store, clock=clock, relist_s=5.0)
    running = asyncio.get_running_loop().create_task(sight.mirror.run())
    await asyncio.sleep(300)
    assert sight.problem() == ""
    store.silent = True
    await asyncio.sleep(100)
    assert sight.problem() == ""
    await asyncio.sleep(40)
    assert "has not answered for 120 s" in (sight.problem() or "")
    running.cancel()


async def test_a_coordinator_that_never_reached_it_says_so_too() -> None:
    sight = RegisterSight(VirtualClock(), 120.0)
    assert sight.problem() is None
    await asyncio.sleep(121)
    assert "has not answered" in (sight.problem() or "")
