"""Outages on purpose, on a real federation: what is killed stays dead, what is frozen stands still, and heal ends both."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from federation.cli.local.lab import STOPPED
from tests.support.federation import Federation, federation, until

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def here() -> Iterator[Federation]:
    with federation() as running:
        yield running


def lab(here: Federation, *words: str, ok: bool = True) -> str:
    answer = here.fedctl("lab", *words, "--dir", str(here.dir), ok=ok)
    assert "Traceback" not in answer.err
    return answer.out + answer.err


def states(here: Federation, site: str) -> dict[int, str]:
    """Of every process that carries the mark of the site: its state, as the kernel says. Without the canary, which ends by
    itself."""
    needles = {f"HUBFED_DIR={here.dir.resolve()}".encode(), f"HUBFED_SITE={site}".encode()}
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            marks = set((folder / "environ").read_bytes().split(b"\0"))
            if needles <= marks and b"HUBFED_ROLE=canary" not in marks:
                found[int(folder.name)] = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
    return found


def roles(here: Federation, site: str) -> set[str]:
    return {item["role"] for item in here.up() if item["site"] == site}


def held(here: Federation) -> set[str]:
    """Programs that the supervisor found dead and left alone."""
    lines = (here.dir / "logs/supervisor.log").read_text().splitlines()
    return {json.loads(line)["program"] for line in lines if "program.held" in line}


def test_a_killed_site_stays_dead_until_it_is_healed(here: Federation) -> None:
    here.fedctl("place", str(here.classroom("first")))
    assert {"agent", "edge", "hub", "proxy", "etcd", "coordinator"} <= roles(here, "iu")
    said = lab(here, "kill", "iu")
    for part in ("iu: killed", "hub 1", "etcd 1", "coordinator 1", "fedctl lab heal iu"):
        assert part in said
    assert re.search(r"agent [123]", said), "and what it had started for a moment, e.g. a copy of homes"
    until(lambda: {"agent-iu", "etcd-iu", "c1"} <= held(here), "the supervisor has looked", 30, here.logs)
    assert states(here, "iu") == {}
    assert "first" in here.fedctl("get").out, "two of three register members are a majority"
    assert "STALE" not in here.fedctl("get").err
    assert "nothing left to do" in lab(here, "kill", "iu")
    assert roles(here, "iu") == set(), "fedctl up does not end an outage"
    lab(here, "heal", "iu")
    until(lambda: {"agent", "edge", "etcd", "coordinator"} <= roles(here, "iu"), "it is back", 60, here.logs)
    until(lambda: here.serves("first"), "the class serves", 90, here.logs)


def test_a_frozen_site_stands_still_and_goes_on_where_it_was(here: Federation) -> None:
    before = set(states(here, "tacc"))
    assert "tacc: frozen" in lab(here, "freeze", "tacc")
    assert set(states(here, "tacc").values()) == {STOPPED}
    assert here.fedctl("get", limit_s=30).code == 0
    assert "tacc: thawed" in lab(here, "heal", "tacc")
    assert STOPPED not in states(here, "tacc").values()
    assert before <= set(states(here, "tacc")), "nothing was started anew"


def test_the_witness_can_be_lost_and_another_coordinator_leads(here: Federation) -> None:
    lab(here, "kill", "witness")
    assert states(here, "witness") == {}
    until(lambda: " leads" in here.fedctl("doctor", ok=False).out, "somebody leads", 60, here.logs)
    lab(here, "heal", "witness")
    until(lambda: roles(here, "witness") == {"etcd", "coordinator"}, "it is back", 60, here.logs)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("kill", "nowhere"), "has iu, tacc, witness"),
        (("kill", "iu", "--only", "agnet"), "agent, fencer, edge"),
        (("heal", "iu", "--only", "agent"), "takes no --only"),
        (("kill", "iu", "--dir", "/nonexistent"), "fedctl up"),
    ],
)
def test_what_cannot_be_done_says_what_can(here: Federation, words: tuple[str, ...], says: str) -> None:
    answer = here.fedctl("lab", "--dir", str(here.dir), *words, ok=False)
    assert answer.code in (2, 3)
    assert says in answer.err
    assert "Traceback" not in answer.err
