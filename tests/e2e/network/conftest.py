"""One federation on three hosts for all tests of this folder; after each its history is judged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.federation import until
from tests.support.three_hosts import ThreeHosts, three_hosts


@pytest.fixture(scope="package")
def hosts() -> Iterator[ThreeHosts]:
    with three_hosts() as running:
        yield running


@pytest.fixture
def here(hosts: ThreeHosts) -> Iterator[ThreeHosts]:
    """A test brings its own classes; what it cut is whole again when the next one begins."""
    until(hosts.well, "all is well", 60, hosts.logs)
    yield hosts
    hosts.net.heal()
    hosts.judge()
    assert hosts.daemons.ended == [], "no daemon ends because of a line"
