"""Copies on a real S3 server: each site's keys write below its own name alone, and what is wrong with keys is said."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from dataclasses import replace

import pytest

from agents.drivers.base import CopyRef
from agents.drivers.local.settings import CopyStore
from federation.model.errors import DriverError
from tests.support.copies_bench import HUB, SECRET, s3_bench
from tests.support.local_site import E1, E2
from tests.support.s3 import BUCKET, S3, s3_server

pytestmark = pytest.mark.timeout(1000)  # the server is built once per machine


@pytest.fixture(scope="module")
def server() -> Iterator[S3]:
    with s3_server() as running:
        yield running


def test_the_keys_of_a_site_write_its_own_prefix_and_read_the_others(server: S3) -> None:
    mine, others = f"/{BUCKET}/homes/iu/note", f"/{BUCKET}/homes/tacc/note"
    assert server.call("PUT", mine, body=b"1", user="iu") == http.client.OK
    assert server.call("PUT", others, body=b"1", user="tacc") == http.client.OK
    assert server.call("GET", others, user="iu") == http.client.OK
    for method in ("PUT", "DELETE"):
        assert server.call(method, others, body=b"2" if method == "PUT" else b"", user="iu") == http.client.FORBIDDEN
    assert server.call("PUT", f"/{BUCKET}", "policy=", b"{}", user="iu") == http.client.FORBIDDEN


async def test_a_site_with_the_keys_of_another_cannot_save_and_says_so(server: S3) -> None:
    async with s3_bench(server, from_nothing=True) as bench:
        await bench.drivers("iu").homes.ensure(HUB, E1)
        bench.write("iu", {"ada/x": b"1"})
        mixed_up = bench.anew("iu", copies=server.store("tacc")).copies
        with pytest.raises(DriverError, match="the store refuses the keys of this site"):
            await mixed_up.save(HUB, E1, SECRET, run="run", limit_s=15.0)
        saved = await bench.anew("iu").copies.save(HUB, E1, SECRET, run="run")
        assert (await bench.copies("tacc").restore(CopyRef("iu", HUB, saved.snapshot), E2, SECRET)).done


async def test_wrong_keys_and_an_unknown_certificate_are_told_apart(server: S3) -> None:
    right = server.store("iu")
    assert right.credentials is not None
    wrong = right.credentials.with_name("wrong.env")
    wrong.write_text("AWS_ACCESS_KEY_ID=iu\nAWS_SECRET_ACCESS_KEY=guessed\n")
    wrong.chmod(0o600)
    copy = CopyRef("iu", HUB, "0" * 64)
    async with s3_bench(server, from_nothing=True) as bench:

        async def said(store: CopyStore) -> str:
            return await bench.anew("iu", copies=store).copies.look(copy, SECRET, limit_s=8.0)

        assert "refuses the keys" in await said(replace(right, credentials=wrong))
        assert "cannot be reached" in await said(replace(right, cacert=None))
