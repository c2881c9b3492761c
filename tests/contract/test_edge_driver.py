"""What every EdgeDriver promises: closed unless the lease file says otherwise, on the twin and on the real proxy."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest
import pytest_asyncio

from agents.drivers.edges import Departed
from federation.runtime.clock import SystemClock
from tests.support.edge_bench import HOST, HUB, EdgeBench, edge_bench
from tests.support.local_site import E1, E2, lease, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
S = 10**9
sequence = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["memory", "local", "asked"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[EdgeBench]:
    async with edge_bench(request.param) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def fresh(bench: EdgeBench) -> None:
    """A new edge process that remembers nothing, with the route in its table and no lease file."""
    bench.write_lease(None)
    await bench.kill()
    await bench.edge.ensure()
    await bench.edge.publish((bench.route(),))


def standing(bench: EdgeBench) -> None:
    """The site holds the hub without a deadline."""
    bench.write_lease(lease({HUB: (E1, None)}, seq=next(sequence)))


async def test_without_a_lease_file_it_is_closed(bench: EdgeBench) -> None:
    assert not await bench.edge.is_open(HUB)


async def test_a_standing_hub_is_open(bench: EdgeBench) -> None:
    standing(bench)
    assert await bench.edge.is_open(HUB)


async def test_a_lease_of_another_boot_opens_nothing(bench: EdgeBench) -> None:
    bench.write_lease(lease({HUB: (E1, None)}, boot_id="another", seq=next(sequence)))
    assert not await bench.edge.is_open(HUB)


async def test_a_lease_at_another_epoch_than_the_route_opens_nothing(bench: EdgeBench) -> None:
    bench.write_lease(lease({HUB: (E2, None)}, seq=next(sequence)))
    assert not await bench.edge.is_open(HUB)
    await bench.edge.publish((bench.route(E2),))
    assert await bench.edge.is_open(HUB)


async def test_a_deadline_closes_it_without_anybody_saying_so(bench: EdgeBench) -> None:
    soon = SystemClock().boottime_ns() + S
    bench.write_lease(lease({HUB: (E1, soon)}, seq=next(sequence)))
    assert await bench.edge.is_open(HUB)

    async def closed() -> bool:
        return not await bench.edge.is_open(HUB)

    await until(closed, "closed at the deadline", 5)
    assert SystemClock().boottime_ns() >= soon - S // 50  # the edge's clock counts in 10 ms


async def test_a_deadline_in_the_past_opens_nothing(bench: EdgeBench) -> None:
    past = SystemClock().boottime_ns() - 1
    bench.write_lease(lease({HUB: (E1, past)}, seq=next(sequence)))
    assert not await bench.edge.is_open(HUB)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"boot_id": 1}', b"\xff\xfe", b"null"])
async def test_a_lease_file_that_cannot_be_read_changes_nothing(bench: EdgeBench, content: bytes | None) -> None:
    bench.write_lease(content)
    assert not await bench.edge.is_open(HUB)
    standing(bench)
    assert await bench.edge.is_open(HUB)
    bench.write_lease(content)
    assert await bench.edge.is_open(HUB)


async def test_an_older_lease_file_is_ignored(bench: EdgeBench) -> None:
    old, new = next(sequence), next(sequence)
    bench.write_lease(lease({}, seq=new))
    assert not await bench.edge.is_open(HUB)
    bench.write_lease(lease({HUB: (E1, None)}, seq=old))
    assert not await bench.edge.is_open(HUB)


async def test_the_file_of_an_earlier_incarnation_is_ignored(bench: EdgeBench) -> None:
    bench.write_lease(lease({}, incarnation=2, seq=1))
    assert not await bench.edge.is_open(HUB)
    bench.write_lease(lease({HUB: (E1, None)}, incarnation=1, seq=999))
    assert not await bench.edge.is_open(HUB)


async def test_a_hub_that_left_the_lease_is_closed(bench: EdgeBench) -> None:
    standing(bench)
    assert await bench.edge.is_open(HUB)
    bench.write_lease(lease({}, seq=next(sequence)))
    assert not await bench.edge.is_open(HUB)


async def test_a_hub_without_a_route_is_closed(bench: EdgeBench) -> None:
    standing(bench)
    await bench.edge.publish(())
    assert not await bench.edge.is_open(HUB)


async def test_the_route_of_a_hub_that_was_not_seen_yet_stays_as_it_was(bench: EdgeBench) -> None:
    """As of an agent that has just started."""
    standing(bench)
    await bench.edge.publish((), unseen=frozenset({HUB}))
    assert await bench.edge.is_open(HUB)
    await bench.edge.publish((), unseen=frozenset({"another-abc123"}))
    assert not await bench.edge.is_open(HUB)


async def test_a_hub_that_runs_at_another_site_is_closed_here_until_it_has_a_route_again(bench: EdgeBench) -> None:
    standing(bench)
    gone = (Departed(HUB, (HOST,)),)
    await bench.edge.publish((), gone)
    assert not await bench.edge.is_open(HUB)
    await bench.edge.publish((bench.route(),), gone)
    assert await bench.edge.is_open(HUB)


async def test_a_killed_edge_is_closed_and_comes_back_at_the_same_address(bench: EdgeBench) -> None:
    standing(bench)
    before = await bench.edge.ensure()
    await bench.kill()
    assert not await bench.edge.is_open(HUB)
    assert await bench.edge.ensure() == before
    assert await bench.edge.is_open(HUB)
