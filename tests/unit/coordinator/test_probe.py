"""Whether an edge is reached at all, against a real server."""

from __future__ import annotations

from aiohttp import web

from federation.coordinator.probe import HttpProber, Sight
from federation.model.outlook import Fault
from federation.runtime.tls_look import edge_tls

HOST = "atm101.localhost"


async def test_an_edge_that_answers_whatever_is_reached_and_one_that_is_gone_is_not() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        address = "{}:{}".format(*runner.addresses[0])
        assert await HttpProber().answers(address, HOST), "404 is an answer"
        assert "not a login page" in await HttpProber().login_page(address, HOST)
        assert await HttpProber().tls_name(address, HOST) == Sight(), "by http there is no certificate"
    finally:
        await runner.cleanup()
    assert not await HttpProber().answers(address, HOST)


async def test_an_address_that_is_none_is_a_page_that_is_missed() -> None:
    """A site's record may say anything; a look that raised would leave the last word standing."""
    prober = HttpProber(edge_tls(None))
    for address in ("149.165.1.1", "149.165.1.1:port", "149.165.1.1:99999999"):
        assert (await prober.tls_name(address, HOST)).fault is Fault.PAGE
        assert not await prober.answers(address, HOST)
