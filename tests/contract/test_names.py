"""What every name driver promises; run on the in-memory twin and on the front door with its real proxy."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from federation.dns.frontdoor import FrontDoorNames
from federation.dns.interface import NameDriver, NameRecord
from federation.dns.memory import MemoryNames
from federation.model.errors import Conflict, StaleEpoch, Unavailable
from federation.model.identity import Epoch
from federation.runtime.clock import SystemClock
from federation.runtime.node import ensure_proxy
from federation.runtime.processes import Launch, SystemProcesses

HOST = "atm101.localhost"


def record(n: int = 1, hub: str = "atm101-aaaaaa", target: str = "127.0.0.1:1") -> NameRecord:
    return NameRecord(host=HOST, hub=hub, epoch=Epoch(era=1, n=n), target=target)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(params=["memory", "frontdoor"])
async def names(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NameDriver]:
    if request.param == "memory":
        yield MemoryNames()
        return
    clock = SystemClock()
    processes = SystemProcesses(clock)
    proxy = await ensure_proxy(processes, clock)
    table, listen = tmp_path / "names.json", f"127.0.0.1:{free_port()}"
    marks = {"HUBFED_TEST_DOOR": str(tmp_path)}
    argv = proxy.launcher("frontdoor", listen, table)
    processes.spawn(Launch(argv, tmp_path / "log", env={**os.environ, **marks}))
    driver = FrontDoorNames(table, listen)
    try:
        async with asyncio.timeout(20):
            while not await answers(driver):
                await asyncio.sleep(0.05)
        yield driver
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


async def test_it_says_what_students_type(names: NameDriver) -> None:
    assert names.url_of(HOST).startswith(f"http://{HOST}")
