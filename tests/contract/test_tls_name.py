"""What is said of a class's certificate, against real servers: each thing that can be wrong with it, and nothing else."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from federation.coordinator.probe import HttpProber, Sight
from federation.core.tls_name import Handshake, Trouble
from federation.model.errors import InvalidRequest
from federation.model.outlook import Fault
from federation.runtime.clock import SystemClock
from federation.runtime.tls_look import edge_tls, shake_hands
from tests.support.certificates import Certificates
from tests.support.tls_edge import edge, server_context

HOST, OTHER = "atm101.hubs.example.edu", "met202.hubs.example.edu"
LONG, ENDED = timedelta(days=90), timedelta(minutes=-1)


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    made = Certificates(tmp_path)
    made.issue("unused", hosts=(OTHER,))  # writes the CA beside it
    return made


def prober(made: Certificates) -> HttpProber:
    return HttpProber(edge_tls(made.directory / "unused.ca.pem"))


@pytest.mark.parametrize("hosts", [(HOST,), ("*.hubs.example.edu",), (OTHER, HOST)])
async def test_a_certificate_of_the_name_is_taken_and_the_page_comes(
    made: Certificates, hosts: tuple[str, ...]
) -> None:
    async with edge(server_context(made.issue("edge", hosts=hosts, valid=LONG), knows=HOST)) as address:
        looks = prober(made)
        assert await looks.tls_name(address, HOST) == Sight()
        assert await looks.login_page(address, HOST) == ""
        assert await looks.answers(address, HOST)


async def test_one_that_ends_within_two_weeks_is_no_miss_and_is_spoken_of(made: Certificates) -> None:
    files = made.issue("edge", hosts=(HOST,), valid=timedelta(days=5))
    async with edge(server_context(files)) as address:
        sight = await prober(made).tls_name(address, HOST)
        ends = f"{SystemClock().now() + timedelta(days=5):%Y-%m}"
        assert (sight.fault, sight.problem) == (Fault.NONE, "")
        assert f"the certificate of {HOST} at {address} ends on {ends}" in sight.warning


@pytest.mark.parametrize(
    ("hosts", "valid", "trusted", "says"),
    [
        ((HOST,), ENDED, True, f"expired: the certificate of {HOST} at ADDRESS ended on 20"),
        ((OTHER,), LONG, True, f"wrong name: the certificate at ADDRESS is for {OTHER}, not for {HOST}"),
        (("10.0.0.1",), LONG, True, f"wrong name: the certificate at ADDRESS is for 10.0.0.1, not for {HOST}"),
        ((HOST,), LONG, False, f"untrusted: nobody vouches for the certificate of {HOST} at ADDRESS (unable to get"),
    ],
)
async def test_one_that_no_browser_takes_is_a_miss_that_says_what_to_do(
    made: Certificates, tmp_path: Path, hosts: tuple[str, ...], valid: timedelta, trusted: bool, says: str
) -> None:
    issuer = made if trusted else Certificates(tmp_path / "other")
    async with edge(server_context(issuer.issue("edge", hosts=hosts, valid=valid))) as address:
        sight = await prober(made).tls_name(address, HOST)
        assert sight.fault is Fault.TLS
        assert f"tls name: {says.replace('ADDRESS', address)}" in sight.problem
        assert sight == await prober(made).tls_name(address, HOST), "it is written on change only"
        assert not await prober(made).answers(address, HOST)
        assert await prober(made).login_page(address, HOST) == "", "a takeover does not wait for a certificate"


async def test_the_hosts_own_trust_is_asked_where_no_bundle_is_named(made: Certificates) -> None:
    async with edge(server_context(made.issue("edge", hosts=(HOST,), valid=LONG))) as address:
        assert "untrusted" in (await HttpProber(edge_tls(None)).tls_name(address, HOST)).problem


async def test_an_edge_that_does_not_know_the_name_or_speaks_no_tls_refuses(made: Certificates) -> None:
    async with edge(server_context(made.issue("edge", hosts=(HOST,), valid=LONG), knows=OTHER)) as address:
        assert "handshake refused" in (await prober(made).tls_name(address, HOST)).problem

    async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()

    async with edge(None, speak_http) as address:
        problem = (await prober(made).tls_name(address, HOST)).problem
        assert "handshake refused" in problem
        assert ".c:" not in problem


async def test_an_edge_that_hangs_up_or_says_nothing_is_no_handshake_within_the_deadline(made: Certificates) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other end goes away

    tls, clock = edge_tls(made.directory / "unused.ca.pem"), SystemClock()
    async with edge(None, hang_up) as address:
        assert (await shake_hands(tls, address, HOST, 5.0)).trouble is Trouble.REFUSED
    async with edge(None, say_nothing) as address:
        began = clock.mono()
        assert await shake_hands(tls, address, HOST, 0.3) == Handshake(address, HOST, Trouble.SILENT)
        assert clock.mono() - began < 2.0


async def test_where_nobody_listens_it_is_no_matter_of_certificates(made: Certificates) -> None:
    async with edge(None) as address:
        pass
    sight = await prober(made).tls_name(address, HOST)
    assert sight.fault is Fault.PAGE
    assert address in sight.problem
    assert not await prober(made).answers(address, HOST)


@pytest.mark.parametrize("content", [None, b"", b"not a certificate"])
def test_a_bundle_without_certificates_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    bundle = tmp_path / "edge-ca.pem"
    if content is not None:
        bundle.write_bytes(content)
    with pytest.raises(InvalidRequest, match=r"edge-ca\.pem") as refused:
        edge_tls(bundle)
    assert "spec.names.ca" in refused.value.help
