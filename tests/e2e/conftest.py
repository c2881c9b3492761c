"""One federation for all end-to-end tests that do not say how it starts; after each test its history is judged."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.federation import Federation, federation


@pytest.fixture(scope="session")
def federation_here() -> Iterator[Federation]:
    """For fixtures that last over several tests; a test asks for `here`."""
    with federation() as running:
        yield running


@pytest.fixture
def here(federation_here: Federation) -> Iterator[Federation]:
    """A test brings its own classes, under names of its own."""
    yield federation_here
    federation_here.judge()
