"""What every name driver promises; run on the in-memory twin, the front door with its real proxy, and a real BIND."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from federation.dns.few_wait import FewWait
from federation.dns.frontdoor import FrontDoorNames
from federation.dns.interface import NameDriver, NameRecord
from federation.dns.memory import MemoryNames
from federation.dns.name_server import NameServer
from federation.dns.rfc2136 import ZoneNames
from federation.model.errors import Conflict, StaleEpoch, Unavailable
from federation.model.identity import Epoch
from federation.runtime.clock import SystemClock
from federation.runtime.node import ensure_proxy
from federation.runtime.processes import Launch, SystemProcesses
from tests.support.bind import ZONE, bind

HOST, ALIAS = f"atm101.{ZONE}", f"weather.{ZONE}"
TTL_S = 30


def record(n: int = 1, hub: str = "atm101-aaaaaa", target: str = "127.0.0.1:1", host: str = HOST) -> NameRecord:
    return NameRecord(host=host, hub=hub, epoch=Epoch(era=1, n=n), target=target, ttl_s=TTL_S)


@dataclass(frozen=True)
class Service:
    """One name service, and drivers of it as several coordinators have them."""

    connect: Callable[[], NameDriver]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=["memory", "frontdoor", "bind"])
async def service(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Service]:
    match request.param:
        case "memory":
            names = MemoryNames()
            yield Service(lambda: names)
        case "frontdoor":
            async with front_door(tmp_path) as connect:
                yield Service(connect)
        case _:
            with bind() as servers:
                server, resolver = servers.primary.server(), NameServer(servers.primary.address)
                yield Service(lambda: FewWait(ZoneNames(ZONE, server, (resolver,), most_ttl_s=60, edge_port=1)))


@pytest.fixture
def names(service: Service) -> NameDriver:
    return service.connect()


@asynccontextmanager
async def front_door(folder: Path) -> AsyncIterator[Callable[[], NameDriver]]:
    clock = SystemClock()
    processes = SystemProcesses(clock)
    proxy = await ensure_proxy(processes, clock)
    table, listen = folder / "names.json", f"127.0.0.1:{free_port()}"
    marks = {"HUBFED_TEST_DOOR": str(folder)}
    argv = proxy.launcher("frontdoor", listen, table)
    processes.spawn(Launch(argv, folder / "log", env={**os.environ, **marks}))
    try:
        async with asyncio.timeout(20):
            while not await answers(FrontDoorNames(table, listen)):
                await asyncio.sleep(0.05)
        yield lambda: FrontDoorNames(table, listen)
    finally:
        await processes.stop(marks)


async def answers(driver: NameDriver) -> bool:
    try:
        await driver.seen_from_outside(HOST)
    except Unavailable:
        return False
    return True


async def test_a_name_that_was_written_is_read_and_seen_from_outside(names: NameDriver) -> None:
    assert await names.read(HOST) is None
    assert await names.seen_from_outside(HOST) is None
    await names.write(record(), None)
    assert await names.read(HOST) == record()
    assert await names.seen_from_outside(HOST) == record()


async def test_a_write_replaces_only_what_was_expected(names: NameDriver) -> None:
    await names.write(record(1), None)
    with pytest.raises(Conflict):
        await names.write(record(2), None)
    with pytest.raises(Conflict):
        await names.write(record(3), record(2))
    await names.write(record(2), record(1))
    assert await names.read(HOST) == record(2)


async def test_an_epoch_never_falls(names: NameDriver) -> None:
    await names.write(record(2), None)
    with pytest.raises(StaleEpoch):
        await names.write(record(1), record(2))
    assert await names.seen_from_outside(HOST) == record(2)


async def test_a_removal_takes_only_what_was_expected_and_may_be_repeated(names: NameDriver) -> None:
    await names.write(record(2), None)
    with pytest.raises(Conflict):
        await names.remove(HOST, record(1))
    await names.remove(HOST, record(2))
    await names.remove(HOST, record(2))
    assert await names.seen_from_outside(HOST) is None


async def test_of_two_writers_that_read_the_same_only_the_first_writes(service: Service) -> None:
    first, second = service.connect(), service.connect()
    await first.write(record(1), None)
    read = await second.read(HOST)
    await first.write(record(2, target="127.0.0.2:1"), read)
    with pytest.raises(Conflict):
        await second.write(record(3, target="127.0.0.3:1"), read)
    with pytest.raises(Conflict):
        await second.remove(HOST, record(1))
    assert await second.seen_from_outside(HOST) == record(2, target="127.0.0.2:1")


async def test_a_name_may_go_over_to_another_hub(names: NameDriver) -> None:
    """Next term's class of the same name: its epochs have nothing to do with the former one's."""
    await names.write(record(7), None)
    await names.write(record(1, hub="atm101-bbbbbb"), record(7))
    assert await names.seen_from_outside(HOST) == record(1, hub="atm101-bbbbbb")


async def test_two_names_of_one_hub_change_apart(names: NameDriver) -> None:
    alias = record(1, host=ALIAS)
    await names.write(record(1), None)
    await names.write(alias, None)
    await names.write(record(2), record(1))
    assert await names.read(ALIAS) == alias
    await names.remove(HOST, record(2))
    assert await names.seen_from_outside(ALIAS) == alias


async def test_it_says_what_students_type(names: NameDriver) -> None:
    assert names.url_of(HOST).startswith(f"http://{HOST}")
