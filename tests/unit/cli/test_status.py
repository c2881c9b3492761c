"""`fedctl up -o json`: where each process of a federation is reached, and where it writes its log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from agents.drivers.base import Capacity
from agents.drivers.local.hub_file import NAME, Ports
from agents.drivers.local.programs import HUB_LOG, PROXY_LOG
from agents.drivers.local.settings import LocalSettings
from federation.cli.local.layout import Choices, Layout
from federation.cli.local.status import Running, running
from federation.runtime.clock import SystemClock
from federation.runtime.process_table import Found, ProcessId
from federation.runtime.processes import SystemProcesses

CHOICES = Choices("f", "u", {"etcd-iu": 1001, "c1": 1002, "frontdoor": 1003}, {"iu": "u1"})
OF_AGENT = {"HUBFED_NAME": "agent-iu", "HUBFED_SITE": "iu"}  # what everything that an agent starts inherits
OF_HUB = {**OF_AGENT, "HUBFED_HUB": "atm-abc123"}


class Table(SystemProcesses):
    """One process of these marks."""

    def __init__(self, marks: Mapping[str, str]) -> None:
        super().__init__(SystemClock())
        self._own = marks

    def find(self, marks: Mapping[str, str], group: object = None, *, descendants: bool = True) -> list[Found]:
        return [Found(ProcessId(7, 1), 1, {**marks, **self._own})]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """A federation whose site iu has an edge and a hub, written by the agent's own means."""
    made = Layout(tmp_path)
    settings = of_agent(made)
    settings.edge_dir.mkdir(parents=True)
    (settings.edge_dir / "port").write_text("2001")
    folder = settings.hub_dir("atm-abc123")
    folder.mkdir(parents=True)
    (folder / NAME).write_text(json.dumps({"ports": Ports(proxy=2002, proxy_api=2003, hub=2004).model_dump()}))
    return made


def of_agent(layout: Layout) -> LocalSettings:
    state = layout.state("sites", "iu")
    return LocalSettings("iu", "f", state, layout.root, layout.root, Capacity(1, 1))


def one(layout: Layout, role: str, **marks: str) -> Running:
    (found,) = running(layout, CHOICES, Table({"HUBFED_ROLE": role, **marks}))
    assert (found.role, found.pid) == (role, 7)
    return found


@pytest.mark.parametrize(
    ("role", "name", "address"),
    [
        ("etcd", "etcd-iu", "127.0.0.1:1001"),
        ("coordinator", "c1", "127.0.0.1:1002"),
        ("frontdoor", "frontdoor", "127.0.0.1:1003"),
        ("agent", "agent-iu", ""),
        ("fencer", "fencer-iu", ""),
    ],
)
def test_what_the_supervisor_keeps_is_known_by_its_name(layout: Layout, role: str, name: str, address: str) -> None:
    found = one(layout, role, HUBFED_NAME=name)
    assert found.address == address
    assert found.log == str(layout.log(name))


def test_an_edge_a_hub_and_its_proxy_have_their_own_address_and_log(layout: Layout) -> None:
    settings = of_agent(layout)
    folder = settings.hub_dir("atm-abc123")
    edge, hub, proxy = one(layout, "edge", **OF_AGENT), one(layout, "hub", **OF_HUB), one(layout, "proxy", **OF_HUB)
    assert (edge.address, edge.log) == ("127.0.0.1:2001", str(settings.edge_dir / "edge.log"))
    assert (hub.address, hub.log) == ("127.0.0.1:2004", str(folder / HUB_LOG))
    assert (proxy.address, proxy.log) == ("127.0.0.1:2002", str(folder / PROXY_LOG))
    assert {found.site for found in (edge, hub, proxy)} == {"iu"}


def test_a_students_server_says_where_it_is(layout: Layout) -> None:
    found = one(layout, "server", **OF_HUB, HUBFED_USER="s01", HUBFED_ADDRESS="127.0.0.1:2005")
    assert found.address == "127.0.0.1:2005"
    assert found.log == str(of_agent(layout).hub_dir("atm-abc123") / "logs/s01.log")


def test_words_of_a_student_are_not_passed_on(layout: Layout) -> None:
    found = one(layout, "server", **OF_HUB, HUBFED_USER="../../c1", HUBFED_ADDRESS="\x1b[2J evil.example:1")
    assert (found.address, found.log) == ("", "")
    assert one(layout, "server", **{**OF_HUB, "HUBFED_SITE": "../.."}, HUBFED_USER="s01").log == ""


def test_a_hub_that_is_being_removed_is_listed_without_address(layout: Layout) -> None:
    (of_agent(layout).hub_dir("atm-abc123") / NAME).unlink()
    assert one(layout, "hub", **OF_HUB).address == ""
