"""One test server at a time at a site, of a hub that it holds, and whatever goes wrong the next one finds its place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from agents.drivers.base import Capacity
from agents.drivers.memory import MemorySite
from agents.server_tests import SLACK_S, ServerTests
from federation.api.v1 import agent_pb2, types_pb2
from federation.core.holding import Held
from federation.model.errors import DriverError
from federation.model.identity import Epoch
from federation.model.scalars import TESTER
from tests.support.local_site import E1, E2, GIB, order, serving
from tests.support.virtual import VirtualClock

pytestmark = pytest.mark.looptime

ATM, MET = order(), order("met202")


@dataclass
class Holding:
    """What of `SiteLease` is asked: hubs that are held, and those whose lease has lapsed."""

    held: dict[str, Any] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)

    def lapsed(self, hub: str) -> bool:
        return hub in self.over


async def site() -> tuple[MemorySite, ServerTests, Holding]:
    """Two classes that serve at iu, both held."""
    here = MemorySite("iu", VirtualClock(), Capacity(30_000, 60 * GIB), start_delay_s=0.1)
    lease: Any = Holding({hub.hub: Held(epoch=E1) for hub in (ATM, MET)})
    for wanted in (ATM, MET):
        await serving(here.drivers(), wanted)
    return here, ServerTests(here.drivers(), lease, VirtualClock()), lease


def ask(hub: str = ATM.hub, *, done: bool = False, epoch: Epoch = E1, limit_s: float = 30.0) -> agent_pb2.Ask:
    wire = types_pb2.Epoch(era=epoch.era, n=epoch.n)
    return agent_pb2.Ask(id="a", server_test=agent_pb2.ServerTestAsk(hub=hub, epoch=wire, done=done, limit_s=limit_s))


async def test_a_ticket_is_for_the_tester_and_ends_after_the_limit() -> None:
    here, tests, _lease = await site()
    answer = await tests.answer(ask())
    assert (answer.error, answer.ticket.user, answer.ticket.valid_s) == ("", TESTER, 30 + SLACK_S)
    assert answer.ticket.token == here.testers[ATM.hub]


async def test_a_second_one_waits_for_the_end_of_the_first() -> None:
    here, tests, _lease = await site()
    await tests.answer(ask())
    refused = await tests.answer(ask(MET.hub))
    assert f"a test server of {ATM.hub} is under way" in refused.error
    assert not refused.HasField("ticket")
    await tests.tidy()
    assert here.testers, "it is under way"
    assert not (await tests.answer(ask(done=True))).error
    assert here.testers == {}
    assert not (await tests.answer(ask(MET.hub))).error


async def test_what_nobody_ends_is_tidied_with_its_ticket_and_so_is_what_an_earlier_agent_left() -> None:
    here, tests, lease = await site()
    await tests.answer(ask())
    await tests.clock.sleep(30 + SLACK_S + 1)
    await tests.tidy()
    assert here.testers == {}
    await tests.answer(ask())
    await ServerTests(here.drivers(), lease, tests.clock).tidy()  # type: ignore[arg-type]
    assert here.testers == {}


@pytest.mark.parametrize("wrong", ["epoch", "lapsed", "not held", "draining", "dead"])
async def test_a_hub_that_is_not_held_or_lets_nobody_in_admits_no_tester(wrong: str) -> None:
    here, tests, lease = await site()
    match wrong:
        case "lapsed":
            lease.over.add(ATM.hub)
        case "not held":
            lease.held.pop(ATM.hub)
        case "draining":
            here.hubs[ATM.hub].order = replace(ATM, notice="This class moves.")
        case "dead":
            here.kill_hub(ATM.hub)
    answer = await tests.answer(ask(epoch=E2 if wrong == "epoch" else E1))
    assert answer.error
    assert here.testers == {}
    assert not (await tests.answer(ask(MET.hub))).error, "a refusal keeps nobody else waiting"


async def test_what_cannot_be_removed_is_said_and_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    _here, tests, _lease = await site()
    await tests.answer(ask())

    async def stuck(hub: str) -> None:
        raise DriverError(f"{hub}: pid 7 is left")

    with monkeypatch.context() as patched:
        patched.setattr(type(tests.drivers.testers), "dismiss", lambda _self, hub: stuck(hub))
        assert "pid 7 is left" in (await tests.answer(ask(done=True))).error
        await tests.tidy()
    assert not (await tests.answer(ask(MET.hub))).error
