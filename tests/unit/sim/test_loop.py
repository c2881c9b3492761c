"""The simulator's loop: a stopped process does nothing, a dead one never again; clocks run at their own rate."""

from __future__ import annotations

import asyncio

from tests.support.sim.loop import Host, Process, SimLoop

Seen = list[tuple[float, float]]


async def ticking(loop: SimLoop, seen: Seen) -> None:
    try:
        while True:
            await asyncio.sleep(1.0)
            seen.append((round(loop.true_s, 3), round(loop.time(), 3)))
    finally:
        seen.append((-1.0, -1.0))


def run(seconds: float, loop: SimLoop) -> None:
    done: asyncio.Future[None] = loop.create_future()
    loop.after(seconds, done.set_result, None)
    loop.run_until_complete(done)


def test_a_fast_clock_shows_more_than_the_true_time() -> None:
    loop, seen = SimLoop(), Seen()
    loop.spawn(Process("p", Host("h", rate=2.0)), ticking(loop, seen))
    run(1.6, loop)
    assert seen == [(0.5, 1.0), (1.0, 2.0), (1.5, 3.0)]


def test_a_stopped_process_does_late_what_was_due() -> None:
    loop, seen, process = SimLoop(), Seen(), Process("p", Host("h"))
    loop.spawn(process, ticking(loop, seen))
    run(1.5, loop)
    process.paused = True
    run(3.0, loop)
    assert seen == [(1.0, 1.0)]
    process.paused = False
    loop.resume(process)
    run(0.1, loop)
    assert seen == [(1.0, 1.0), (4.5, 4.5)]


def test_a_dead_process_does_not_even_clean_up() -> None:
    loop, seen, process = SimLoop(), Seen(), Process("p", Host("h"))
    loop.spawn(process, ticking(loop, seen))
    run(1.5, loop)
    process.dead = True
    run(3.0, loop)
    assert seen == [(1.0, 1.0)]


def test_a_paused_machine_does_not_know_that_time_has_passed() -> None:
    loop, seen, host = SimLoop(), Seen(), Host("h")
    process = Process("p", host)
    loop.spawn(process, ticking(loop, seen))
    run(1.5, loop)
    host.pause(loop.true_s, paused=True)
    run(10.0, loop)
    host.pause(loop.true_s, paused=False)
    loop.resume(process)
    run(0.6, loop)
    assert seen == [(1.0, 1.0), (12.0, 2.0)]
