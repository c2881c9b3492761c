"""Directives as they arrive: from one leader after another, in parts, over restarts of the agent."""

from pathlib import Path

from agents.wanted import WantedHubs
from federation.api.v1 import agent_pb2, types_pb2
from tests.support.virtual import MemoryDisk

PATH = Path("/state/wanted.bin")
REGISTER = types_pb2.RegisterId(uuid="u", era=1)


def part(leader: int, state: str, register: types_pb2.RegisterId = REGISTER) -> agent_pb2.Wanted:
    hub = agent_pb2.WantedHub(hub="atm101-abc123", state=state, epoch=types_pb2.Epoch(era=1, n=1))
    return agent_pb2.Wanted(register=register, leader_epoch=leader, hubs=[hub], complete=True)


def state(wanted: WantedHubs) -> str:
    return wanted.hubs["atm101-abc123"].state


def test_a_leader_that_was_replaced_orders_nothing_any_more_also_after_a_restart() -> None:
    disk = MemoryDisk()
    wanted = WantedHubs(PATH, disk)
    wanted.take(part(7, "running"))
    assert wanted.take(part(6, "stopped")) == set()
    assert state(wanted) == "running"
    anew = WantedHubs(PATH, disk)
    anew.session_began()
    assert anew.take(part(6, "stopped")) == set()
    assert state(anew) == "running"
    anew.session_began()
    assert anew.take(part(8, "stopped")) == {"atm101-abc123"}


def test_a_register_of_a_new_era_counts_its_leaders_anew() -> None:
    wanted = WantedHubs(PATH, MemoryDisk())
    wanted.take(part(700, "running"))
    wanted.take(part(3, "stopped", types_pb2.RegisterId(uuid="u", era=2)))
    assert state(wanted) == "stopped"


def test_the_directive_of_a_hub_that_is_held_is_kept_when_it_is_not_named_any_more_and_goes_with_the_hub() -> None:
    held = {"atm101-abc123"}
    wanted = WantedHubs(PATH, MemoryDisk(), lambda: held)
    wanted.take(part(7, "running"))
    gone = agent_pb2.Wanted(register=REGISTER, leader_epoch=7, gone=["atm101-abc123"], complete=True)
    assert wanted.take(gone) == set()
    wanted.session_began()
    assert wanted.take(agent_pb2.Wanted(register=REGISTER, leader_epoch=8, complete=True)) == set()
    assert state(wanted) == "running"
    assert wanted.take(part(8, "stopped")) == {"atm101-abc123"}, "a word about it counts"
    wanted.take(agent_pb2.Wanted(register=REGISTER, leader_epoch=8, gone=["atm101-abc123"], complete=True))
    held.clear()
    wanted.take(agent_pb2.Wanted(register=REGISTER, leader_epoch=8, complete=True))
    assert wanted.hubs == {}
