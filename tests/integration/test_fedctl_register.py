"""`fedctl register`, as a process against a real server whose register is emptied under it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.model.errors import ExitCode
from tests.support.control_server import Served, served
from tests.support.federation import until
from tests.support.lost_register import put_in_place


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Served]:
    with served(tmp_path) as running:
        running.ok("place", running.classroom("atm101"))
        yield running


def lose(here: Served) -> None:
    """An empty register in the place of the one that was known."""
    here.run(lambda: put_in_place(here.federation, ()))
    until(lambda: bool(here.replica.ports.register.fault), "the fault is seen", 30)
    heard, sites = here.replica.recovering.heard, here.federation.sites
    until(lambda: heard.keys() == sites.keys(), "both sites have said what they hold")


def test_from_a_register_that_was_emptied_to_its_new_era(here: Served) -> None:
    refused = here.fedctl("register", "recover", "--yes", "virtual")
    assert (refused.code, "nothing to recover" in refused.err) == (ExitCode.BAD_INPUT, True)
    assert "the one that was known" in here.ok("register", "status").out
    lose(here)
    shows_what_was_found(here)
    reads_what_is_known_last_and_takes_nothing(here)
    lets_only_an_admin_who_types_the_name_recover(here)
    done = here.ok("register", "recover", "--yes", "virtual")
    assert "recovered, era 2; 1 hubs" in done.out
    assert "done, era 2" in here.fedctl("register", "status").out


def shows_what_was_found(here: Served) -> None:
    status = here.fedctl("register", "status")
    assert status.code == ExitCode.FAILED
    assert "serves it, at 1.1" in status.out
    document = json.loads(here.fedctl("register", "status", "-o", "json").out)
    (hub,) = document["hubs"]
    assert (hub["owner"], hub["known"], hub["claims"][0]["serving"]) == ("iu", False, True)
    assert [site["reported"] for site in document["sites"]] == [True, True]
    assert document["waiting_for"] == []


def reads_what_is_known_last_and_takes_nothing(here: Served) -> None:
    assert "STALE" in here.ok("get", "atm101").err
    assert "does not believe its register" in here.fedctl("doctor").out
    refused = here.fedctl("place", here.classroom("phy202"))
    assert refused.code == ExitCode.REFUSED
    assert "recover-the-register.md" in refused.err


def lets_only_an_admin_who_types_the_name_recover(here: Served) -> None:
    assert "needs a role of: admin" in here.fedctl("register", "recover", "--yes", "virtual", context="vic").err
    assert "--yes NAME" in here.fedctl("register", "recover").err
    assert "is virtual" in here.fedctl("register", "recover", "--yes", "another").err
    assert "HUB=SITE" in here.fedctl("register", "recover", "--owner", "atm101").err
