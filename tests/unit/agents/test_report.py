"""The agent's reports: whole on a new stream, then changes; a dying stream takes nothing from the next one."""

import asyncio
from collections.abc import AsyncIterator

from agents.drivers.base import HubView, Phase
from agents.report import Reporter
from federation.api.v1 import agent_pb2
from federation.model.identity import Epoch
from federation.model.status import RosterEntry


def view(hub: str, phase: Phase) -> HubView:
    return HubView(hub=hub, phase=phase, epoch=Epoch(era=1, n=1))


def see(reporter: Reporter, hub: str, phase: Phase) -> None:
    reporter.hub(view(hub, phase), Epoch(era=1, n=1), gate_open=True, message="", homes="")


async def next_observed(messages: AsyncIterator[agent_pb2.AgentMessage]) -> agent_pb2.Observed:
    async with asyncio.timeout(8):  # two cores may be shared
        return (await anext(messages)).observed


async def test_a_stream_begins_whole_and_goes_on_with_changes() -> None:
    reporter = Reporter("local", "1")
    see(reporter, "a", Phase.SERVING)
    see(reporter, "b", Phase.SERVING)
    reporter.looked()
    messages = reporter.session_began()
    first = await next_observed(messages)
    assert first.whole
    assert [hub.hub for hub in first.hubs] == ["a", "b"]

    see(reporter, "b", Phase.STOPPING)
    reporter.gone("a")
    second = await next_observed(messages)
    assert not second.whole
    assert ([hub.hub for hub in second.hubs], list(second.gone)) == (["b"], ["a"])


async def test_a_dying_stream_takes_nothing_from_the_next_one() -> None:
    """Both iterators live for a moment when a stream breaks: grpc closes the old one when it gets to it."""
    reporter = Reporter("local", "1")
    see(reporter, "a", Phase.SERVING)
    reporter.looked()
    old = reporter.session_began()
    await next_observed(old)
    last = asyncio.ensure_future(anext(old, None))
    await asyncio.sleep(0)

    new = reporter.session_began()
    see(reporter, "b", Phase.SERVING)
    first = await next_observed(new)
    assert first.whole
    assert [hub.hub for hub in first.hubs] == ["a", "b"]
    assert await last is None


async def test_nothing_is_reported_before_everything_was_looked_at_once() -> None:
    """The leader concludes from a whole report what is not there."""
    reporter = Reporter("local", "1")
    messages = reporter.session_began()
    waiting = asyncio.ensure_future(anext(messages))
    await asyncio.sleep(0)
    see(reporter, "a", Phase.SERVING)
    await asyncio.sleep(0)
    assert not waiting.done()
    reporter.looked()
    observed = (await waiting).observed
    assert observed.whole
    assert [hub.hub for hub in observed.hubs] == ["a"]


async def test_a_report_that_does_not_fit_into_one_message_comes_in_parts() -> None:
    reporter = Reporter("local", "1")
    for n in range(40):
        hub = f"h{n:02}"
        reporter.roster(hub, tuple(RosterEntry(name=f"student-{i:05}", admin=False) for i in range(4000)))
        see(reporter, hub, Phase.SERVING)
    reporter.looked()
    messages = reporter.session_began()
    parts = [await next_observed(messages)]
    while parts[-1].more:
        parts.append(await next_observed(messages))
    assert len(parts) > 1
    assert all(part.ByteSize() < 2 << 20 for part in parts)
    assert [part.whole for part in parts] == [True] + [False] * (len(parts) - 1)
    assert [hub.hub for part in parts for hub in part.hubs] == [f"h{n:02}" for n in range(40)]
