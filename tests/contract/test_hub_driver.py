"""What every HubDriver promises, on the in-memory twin and on real JupyterHubs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from agents.drivers.base import HubOrder, Phase
from federation.model.errors import DriverError, StaleEpoch
from federation.model.identity import Epoch
from tests.support.hub_bench import HubBench, hub_bench
from tests.support.local_site import order, serving, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "local"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[HubBench]:
    async with hub_bench(request.param) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def newest(bench: HubBench) -> HubOrder:
    """An order for the module's one hub that is not older than what an earlier test gave. The hub serves."""
    wanted = order(epoch=bench.epoch, generation=bench.generation)
    await bench.drivers.homes.ensure(wanted.hub, wanted.epoch)
    await serving(bench.drivers, wanted)
    return wanted


async def test_a_hub_that_was_never_here_is_stopped_and_has_no_processes(bench: HubBench) -> None:
    view = await bench.drivers.hubs.observe("never-abc123")
    assert (view.phase, view.processes, view.epoch) == (Phase.STOPPED, 0, None)
    assert "never-abc123" not in await bench.drivers.hubs.list()


async def test_a_started_hub_serves_at_the_orders_epoch_and_generation(bench: HubBench, newest: HubOrder) -> None:
    view = await bench.drivers.hubs.observe(newest.hub)
    assert (view.phase, view.epoch, view.generation) == (Phase.SERVING, newest.epoch, newest.generation)
    assert view.processes >= 2
    assert ":" in view.address
    assert newest.hub in await bench.drivers.hubs.list()


async def test_the_same_order_again_changes_nothing(bench: HubBench, newest: HubOrder) -> None:
    before, pids = await bench.drivers.hubs.observe(newest.hub), bench.pids(newest.hub)
    await bench.drivers.hubs.start(newest)
    assert await bench.drivers.hubs.observe(newest.hub) == before
    assert bench.pids(newest.hub) == pids


async def test_an_order_of_an_older_epoch_is_refused(bench: HubBench, newest: HubOrder) -> None:
    older = order(epoch=Epoch(era=0, n=99), generation=newest.generation)
    with pytest.raises(StaleEpoch):
        await bench.drivers.hubs.start(older)
    assert (await bench.drivers.hubs.observe(newest.hub)).epoch == newest.epoch


async def test_a_newer_epoch_is_taken_without_a_restart(bench: HubBench, newest: HubOrder) -> None:
    pids = bench.pids(newest.hub)
    bench.epoch = newest.epoch.next()
    await bench.drivers.hubs.start(order(epoch=bench.epoch, generation=newest.generation))
    view = await bench.drivers.hubs.observe(newest.hub)
    assert (view.phase, view.epoch) == (Phase.SERVING, bench.epoch)
    assert bench.pids(newest.hub) == pids


@pytest.mark.parametrize("role", ["hub", "proxy"])
async def test_what_was_killed_is_mended_by_the_next_start_and_servers_live_on(
    bench: HubBench, newest: HubOrder, role: str
) -> None:
    await bench.start_server(newest.hub, "ada")
    before = await bench.drivers.hubs.observe(newest.hub)
    bench.kill(newest.hub, role)

    async def seen() -> bool:
        view = await bench.drivers.hubs.observe(newest.hub)
        return view.phase is Phase.STARTING and role in view.message

    await until(seen, f"the death of the {role} is seen")
    view = await serving(bench.drivers, newest)
    assert view.servers == before.servers
    assert view.processes == before.processes


async def test_a_new_agent_finds_and_adopts_what_runs(bench: HubBench, newest: HubOrder) -> None:
    pids = bench.pids(newest.hub)
    drivers = bench.drivers_anew()
    assert newest.hub in await drivers.hubs.list()
    await drivers.hubs.start(newest)
    view = await drivers.hubs.observe(newest.hub)
    await drivers.hubs.close()
    assert (view.phase, view.epoch) == (Phase.SERVING, newest.epoch)
    assert bench.pids(newest.hub) == pids


async def test_the_roster_is_read_back_with_its_admins(bench: HubBench, newest: HubOrder) -> None:
    roster = await bench.drivers.hubs.roster(newest.hub)
    assert [(entry.name, entry.admin) for entry in roster] == [("ada", False), ("bob", False), ("prof", True)]


async def test_the_roster_of_a_hub_that_is_not_here_is_an_error(bench: HubBench) -> None:
    with pytest.raises(DriverError, match="never-abc123"):
        await bench.drivers.hubs.roster("never-abc123")


async def test_the_tester_is_in_no_roster_and_leaves_nothing(bench: HubBench, newest: HubOrder) -> None:
    testers, before = bench.drivers.testers, await bench.drivers.hubs.roster(newest.hub)
    first = await testers.admit(newest.hub, 60.0)
    assert first
    assert await testers.left() == (newest.hub,)
    assert await bench.drivers_anew().testers.left() == (newest.hub,), "a new agent finds it"
    assert await bench.drivers.hubs.roster(newest.hub) == before
    await testers.dismiss(newest.hub)
    assert await testers.left() == ()
    await testers.dismiss(newest.hub)
    assert await testers.admit(newest.hub, 60.0) != first, "each test has a token of its own"
    await testers.dismiss(newest.hub)


async def test_no_tester_is_admitted_to_a_hub_that_is_not_here(bench: HubBench) -> None:
    with pytest.raises(DriverError, match="never-abc123"):
        await bench.drivers.testers.admit("never-abc123", 60.0)
    await bench.drivers.testers.dismiss("never-abc123")
    assert await bench.drivers.testers.left() == ()


async def test_a_new_image_is_for_new_servers_only_and_old_ones_are_counted(bench: HubBench, newest: HubOrder) -> None:
    await bench.start_server(newest.hub, "ada")
    pids = bench.pids(newest.hub)
    image = {"name": "unidata/atm101", "tag": f"2026-{newest.generation + 1}"}
    bench.generation += 1
    newer = order(epoch=newest.epoch, generation=bench.generation, image=image)
    await bench.drivers.hubs.start(newer)
    view = await bench.drivers.hubs.observe(newest.hub)
    assert (view.generation, view.outdated_servers) == (newer.generation, view.servers)
    assert view.servers >= 1
    assert pids == bench.pids(newest.hub)
    await bench.drivers.hubs.stop(newest.hub)


async def test_a_hub_with_a_notice_lets_nobody_new_in_says_why_and_leaves_those_alone_who_are_in(
    bench: HubBench, newest: HubOrder
) -> None:
    await bench.start_server(newest.hub, "ada")
    pids = bench.pids(newest.hub)
    view = await serving(bench.drivers, replace(newest, notice="This class moves. <b>Save</b> your work."))
    assert (view.draining, view.servers, view.active_servers) == (True, 1, 1)
    assert "This class moves." in await bench.turned_away(newest.hub, "bob")
    assert "<b>Save</b>" not in await bench.turned_away(newest.hub, "bob") or not pids, "it is text, not a page"
    assert pids == bench.pids(newest.hub)
    assert not (await serving(bench.drivers, newest)).draining
    await bench.start_server(newest.hub, "bob")


async def test_logs_end_with_the_newest_line(bench: HubBench, newest: HubOrder) -> None:
    whole = b"".join([chunk async for chunk in bench.drivers.hubs.logs(newest.hub, "", tail=1000, follow=False)])
    last = b"".join([chunk async for chunk in bench.drivers.hubs.logs(newest.hub, "", tail=1, follow=False)])
    assert whole
    assert last
    assert len(last.splitlines()) == 1


async def test_logs_of_a_hub_that_is_not_here_are_an_error(bench: HubBench) -> None:
    with pytest.raises(DriverError):
        async for _chunk in bench.drivers.hubs.logs("never-abc123", "", tail=1, follow=False):
            pass


async def test_stop_ends_every_process_and_can_be_repeated(bench: HubBench, newest: HubOrder) -> None:
    await bench.start_server(newest.hub, "bob")
    await bench.drivers.hubs.stop(newest.hub)
    view = await bench.drivers.hubs.observe(newest.hub)
    assert (view.phase, view.processes, view.servers) == (Phase.STOPPED, 0, 0)
    assert bench.pids(newest.hub) == set()
    assert newest.hub not in await bench.drivers.hubs.list()
    await bench.drivers.hubs.stop(newest.hub)
