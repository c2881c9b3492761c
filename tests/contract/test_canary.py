"""What a proof on a canary promises, on the twin and on a real edge with a real fencer (PROTOCOL.md H13)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from agents.canary import EVERY_S, FIRST_RETRY_S, HOST, RETRY_S, STALE_S, Proof
from agents.drivers.edges import Passage
from tests.support.canary_bench import HUB, CanaryBench, MemoryCanaryBench, canary, canary_bench
from tests.support.local_site import until
from tests.support.virtual import VirtualClock


@pytest.fixture(params=["memory", "local"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[CanaryBench]:
    async with canary_bench(request.param) as made:
        yield made


async def silent(bench: CanaryBench) -> bool:
    return await bench.drivers.canary.ask(HOST) is Passage.SILENT


async def test_gate_and_fencer_that_work_are_proven_and_nothing_is_left(bench: CanaryBench) -> None:
    under_test = canary(bench)
    assert under_test.verdict() == (False, "gate and fencer were not proven yet")
    proof = await under_test.prove()
    assert proof.ok, proof.reason
    assert under_test.verdict() == (True, "gate and fencer proven 0 s ago")
    assert not await bench.drivers.canary.alive(HUB)
    await until(lambda: silent(bench), "an edge that asks has heard that the route is gone")
    assert (await under_test.prove()).ok, "and again"


async def test_a_gate_that_does_not_do_its_work_fails_the_proof(bench: CanaryBench) -> None:
    await bench.break_gate()
    under_test = canary(bench)
    proof = await under_test.prove()
    assert not proof.ok
    assert "the gate" in proof.reason
    assert not under_test.verdict()[0]


async def test_a_fencer_that_hangs_fails_the_proof_and_the_canary_is_cleared_away(bench: CanaryBench) -> None:
    await bench.break_fencer()
    proof = await canary(bench).prove()
    assert proof.reason == "the fencer did not end the canary within 3 s"
    assert not await bench.drivers.canary.alive(HUB)


async def test_a_canary_is_no_hub_of_the_site(bench: CanaryBench) -> None:
    await bench.drivers.canary.start(HUB)
    assert await bench.drivers.canary.alive(HUB)
    assert await bench.drivers.hubs.list() == ()
    await bench.drivers.canary.stop(HUB)
    assert not await bench.drivers.canary.alive(HUB)


@pytest.mark.looptime
async def test_it_is_proven_every_hour_and_a_failure_is_tried_again_soon() -> None:
    bench = MemoryCanaryBench(VirtualClock())
    await bench.drivers.edge.ensure()
    under_test = canary(bench)
    faults = ["start", "", "", "gate", ""]
    seen: list[Proof] = []
    prove = under_test.prove

    async def noted() -> Proof:
        if not faults:
            raise StopAsyncIteration
        bench.site.canary_broken = faults.pop(0)
        seen.append(await prove())
        return seen[-1]

    under_test.prove = noted  # type: ignore[method-assign]
    with pytest.raises(StopAsyncIteration):
        await under_test.run()
    assert [proof.ok for proof in seen] == [False, True, True, False, True]
    assert seen[0].reason == f"{HUB}: cannot start"
    pauses = [after.at_mono - before.at_mono for before, after in pairwise(seen)]
    for pause, least_s in zip(pauses, (FIRST_RETRY_S, EVERY_S, EVERY_S, RETRY_S), strict=True):
        assert least_s <= pause < least_s + 15


@pytest.mark.looptime
async def test_a_proof_that_is_missing_disarms() -> None:
    bench = MemoryCanaryBench(VirtualClock())
    await bench.drivers.edge.ensure()
    under_test = canary(bench)
    await under_test.prove()
    await bench.clock.sleep(EVERY_S)
    assert under_test.verdict() == (True, "gate and fencer proven 60 min ago")
    await bench.clock.sleep(STALE_S - EVERY_S + 1)
    assert under_test.verdict() == (False, "gate and fencer were last proven 65 min ago, which is too long")
