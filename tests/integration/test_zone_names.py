"""What a zone adds to the contract of names, on a real BIND: stale writers, keys, silence, other people's records, and
secondaries that lag."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest

from federation.dns.interface import NameRecord
from federation.dns.name_server import ASK_S, SEND_S, NameServer
from federation.dns.rfc2136 import ZoneNames
from federation.dns.zone_records import NameInZone, change, mark_of
from federation.model.errors import Conflict, DeadlineExceeded, Refused, Unavailable
from federation.model.identity import Epoch
from tests.support.bind import KEY_NAME, ROOT, ZONE, Bind, NameServers, bind, new_key
from tests.support.etcd import free_ports

HOST = f"atm101.{ZONE}"
IU, TACC = "192.0.2.10:80", "198.51.100.10:80"


def record(n: int = 1, target: str = IU, ttl_s: int = 30) -> NameRecord:
    return NameRecord(host=HOST, hub="atm101-aaaaaa", epoch=Epoch(era=1, n=n), target=target, ttl_s=ttl_s)


def driver(server: NameServer, *outside: Bind) -> ZoneNames:
    return ZoneNames(ZONE, server, tuple(NameServer(one.address) for one in outside), most_ttl_s=60, edge_port=80)


def test_the_page_on_zones_gives_the_key_the_rights_that_are_tested_here() -> None:
    page = (ROOT / "docs/how-to/names-in-a-zone.md").read_text()
    assert f"update-policy {{ grant {KEY_NAME} {Bind.policy}; }};" in page
    assert f'key "{KEY_NAME}" {{ algorithm hmac-sha256; secret "THE-SECRET"; }};' in page


@pytest.fixture
def servers() -> Iterator[NameServers]:
    with bind() as made:
        yield made


@pytest.fixture
def names(servers: NameServers) -> ZoneNames:
    return driver(servers.primary.server())


@pytest.mark.parametrize(
    ("target", "kind", "value"),
    [
        (IU, "A", "192.0.2.10"),
        ("[2001:db8::10]:80", "AAAA", "2001:db8::10"),
        ("edge.iu.example.edu:80", "CNAME", "edge.iu.example.edu."),
    ],
)
async def test_an_address_becomes_an_address_and_a_name_an_alias(
    servers: NameServers, names: ZoneNames, target: str, kind: str, value: str
) -> None:
    await names.write(record(target=target), None)
    assert servers.primary.values(HOST, kind) == [value]
    assert servers.primary.values(mark_of(HOST), "TXT") == ['"hubfed=1 hub=atm101-aaaaaa epoch=1.1"']
    assert servers.primary.ttl(HOST, kind) == servers.primary.ttl(mark_of(HOST), "TXT") == 30
    assert await names.read(HOST) == record(target=target)
    assert await names.seen_from_outside(HOST) == record(target=target)


async def test_a_name_moves_between_all_kinds_of_edges(names: ZoneNames) -> None:
    before = None
    for n, target in enumerate((IU, "edge.tacc.example.edu:80", "[2001:db8::10]:80", IU), 1):
        await names.write(record(n, target), before)
        before = record(n, target)
        assert await names.seen_from_outside(HOST) == before


async def test_the_server_refuses_a_writer_that_was_frozen_since_it_read(
    servers: NameServers, names: ZoneNames
) -> None:
    """It read the zone, decided, and stood still; its update leaves when another leader has long written."""
    await names.write(record(1), None)
    as_read = await names.found(HOST)
    late = change(ZONE, as_read, record(2, IU), 80)
    first_ever = change(ZONE, NameInZone(HOST), record(1), 80)
    await names.write(record(3, TACC), record(1))
    for update in (late, first_ever):
        with pytest.raises(Conflict, match="not what was expected"):
            await names.server.send(update)
    assert await names.read(HOST) == record(3, TACC)
    assert servers.primary.values(HOST, "A") == ["198.51.100.10"]


async def test_a_late_write_is_refused_also_where_only_the_address_was_bent(
    servers: NameServers, names: ZoneNames
) -> None:
    await names.write(record(1), None)
    as_read = await names.found(HOST)
    servers.primary.edit(("delete", HOST, "A"), ("add", HOST, "A", "203.0.113.9"))
    with pytest.raises(Conflict):
        await names.server.send(change(ZONE, as_read, record(2), 80))
    assert servers.primary.values(mark_of(HOST), "TXT") == ['"hubfed=1 hub=atm101-aaaaaa epoch=1.1"']


async def test_keys_that_do_not_fit_are_told_apart(servers: NameServers, names: ZoneNames) -> None:
    await names.write(record(1), None)
    for key, says in (
        (new_key(), r"another secret .* \(BADSIG\)"),
        (new_key("other"), r"know the key other \(BADKEY\)"),
    ):
        stranger = driver(servers.primary.server(key))
        with pytest.raises(Refused, match=says) as refused:
            await stranger.read(HOST)
        assert "key_file" in refused.value.help
        with pytest.raises(Refused, match=says):
            await stranger.server.send(change(ZONE, NameInZone(HOST), record(2), 80))
    with pytest.raises(Refused, match="REFUSED"):  # unsigned
        await NameServer(servers.primary.address).send(change(ZONE, NameInZone(HOST), record(2), 80))
    assert await names.read(HOST) == record(1)


async def test_a_key_that_may_not_write_the_name_is_said_and_nothing_is_written() -> None:
    """The policy allows the mark and not the address: name and epoch change together or not at all."""
    with bind(policy="zonesub TXT") as servers:
        names = driver(servers.primary.server())
        with pytest.raises(Refused, match="does not let this key write") as refused:
            await names.write(record(), None)
        assert "update-policy" in refused.value.help
        assert servers.primary.values(mark_of(HOST), "TXT") == []


async def test_silence_is_bounded_and_an_update_in_it_may_have_been_made(
    servers: NameServers, names: ZoneNames
) -> None:
    update = change(ZONE, NameInZone(HOST), record(), 80)
    servers.primary.freeze()
    began = monotonic()
    calls = (names.read(HOST), names.seen_from_outside(HOST), names.write(record(), None), names.server.send(update))
    ended: list[Any] = list(await asyncio.gather(*calls, return_exceptions=True))
    assert monotonic() - began < max(ASK_S, SEND_S) + 1
    assert [type(error) for error in ended] == [Unavailable, Unavailable, Unavailable, DeadlineExceeded]
    assert not ended[-1].definite
    servers.primary.thaw()

    async def landed() -> bool:
        return await names.read(HOST) == record()

    async with asyncio.timeout(5):
        while not await landed():
            await asyncio.sleep(0.05)


async def test_a_server_that_is_down_is_said_and_keeps_what_it_acknowledged(
    servers: NameServers, names: ZoneNames
) -> None:
    await names.write(record(), None)
    servers.primary.kill()
    with pytest.raises(Unavailable, match="does not answer"):
        await names.read(HOST)
    with pytest.raises(Unavailable) as refused:
        await names.server.send(change(ZONE, NameInZone(HOST), record(2), 80))
    assert refused.value.definite
    servers.primary.start()
    assert await names.read(HOST) == record()


async def test_a_server_that_lost_its_zone_says_so(servers: NameServers) -> None:
    (nobody,) = free_ports(1)
    empty = servers.secondary(of=nobody)
    with pytest.raises(Unavailable, match="SERVFAIL"):
        await driver(servers.primary.server(), empty).seen_from_outside(HOST)


async def test_a_secondary_is_not_written_to(servers: NameServers) -> None:
    secondary = servers.secondary()
    secondary.wait_until(lambda: secondary.serial() > 0, "the zone was transferred")
    with pytest.raises(Refused, match="does not let this key"):
        await driver(secondary.server()).write(record(), None)


async def test_a_name_has_converged_when_every_resolver_says_so(servers: NameServers) -> None:
    lagging = servers.secondary()
    lagging.wait_until(lambda: lagging.serial() == servers.primary.serial(), "the zone was transferred")
    names = driver(servers.primary.server(), servers.primary, lagging)
    await names.write(record(1), None)
    with pytest.raises(Conflict, match=f"{lagging.address} sees nothing"):
        await names.seen_from_outside(HOST)
    lagging.notified()
    lagging.wait_until(lambda: lagging.serial() == servers.primary.serial(), "it heard of the change")
    assert await names.seen_from_outside(HOST) == record(1)
    await names.write(record(2, TACC), record(1))
    with pytest.raises(Conflict, match=f"{lagging.address} sees {IU} at epoch 1.1"):
        await names.seen_from_outside(HOST)


async def test_a_resolver_that_is_down_is_not_overlooked(servers: NameServers) -> None:
    secondary = servers.secondary()
    names = driver(servers.primary.server(), servers.primary, secondary)
    await names.write(record(), None)
    secondary.kill()
    with pytest.raises(Unavailable, match=secondary.address):
        await names.seen_from_outside(HOST)


@pytest.mark.parametrize(
    ("theirs", "says"),
    [
        (("add", HOST, "A", "203.0.113.9"), "A 203.0.113.9"),
        (("add", HOST, "CNAME", "elsewhere.example.edu."), "CNAME elsewhere.example.edu."),
        (("add", HOST, "MX", "10 mail.example.edu."), "records of other types"),
        (("add", mark_of(HOST), "TXT", '"theirs"'), 'TXT "theirs"'),
    ],
)
async def test_records_of_somebody_else_are_never_overwritten(theirs: tuple[str, ...], says: str) -> None:
    with bind(policy="zonesub ANY") as servers:
        servers.primary.edit(theirs)
        names = driver(servers.primary.server())
        assert await names.read(HOST) is None
        with pytest.raises(Refused, match="somebody else's") as refused:
            await names.write(record(), None)
        assert says in refused.value.message
        await names.remove(HOST, record())
        _verb, name, kind, value = theirs
        assert servers.primary.values(name, kind) == [value]


@pytest.mark.parametrize("wildcard", ["* A 203.0.113.9", "* CNAME elsewhere.example.edu.", '* TXT "v=spf1 -all"'])
async def test_a_wildcard_is_not_in_the_way(wildcard: str) -> None:
    with bind(f"{wildcard}\n") as servers:
        names = driver(servers.primary.server())
        assert await names.read(HOST) is None
        assert await names.seen_from_outside(HOST) is None
        await names.write(record(), None)
        assert await names.seen_from_outside(HOST) == record()
        await names.remove(HOST, record())
        assert await names.seen_from_outside(HOST) is None


async def test_what_else_stands_at_our_name_stays() -> None:
    with bind(policy="zonesub ANY") as servers:
        names = driver(servers.primary.server())
        await names.write(record(1), None)
        servers.primary.edit(("add", HOST, "CAA", '0 issue "ca.example"'))
        await names.write(record(2, TACC), record(1))
        await names.remove(HOST, record(2, TACC))
        assert servers.primary.values(HOST, "CAA") == ['0 issue "ca.example"']
        assert servers.primary.values(HOST, "A") == []


async def test_an_address_that_somebody_bent_is_seen_as_it_is(servers: NameServers, names: ZoneNames) -> None:
    await names.write(record(), None)
    servers.primary.edit(("add", HOST, "A", "203.0.113.9"))
    bent = await names.read(HOST)
    assert bent is not None
    assert bent.target == "192.0.2.10 and 203.0.113.9"
    await names.write(record(), bent)
    assert servers.primary.values(HOST, "A") == ["192.0.2.10"]
