"""A coordinator's start: which register it will not work with, and which names it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from federation.coordinator.main import edge_prober, name_driver, open_register
from federation.model.errors import InvalidRequest, Refused
from federation.model.federation_file import FederationFile
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.settings_files import load_federation
from federation.store.interface import StoreStatus
from federation.store.memory import MemoryStore
from federation.store.register import Register
from federation.store.remembered import RememberedRegister

EXAMPLE = Path(__file__).parents[3] / "configs/federation/two-clouds.yaml"


class Running(MemoryStore):
    """A register that says it is an etcd of this version."""

    def __init__(self, version: str) -> None:
        super().__init__(SystemClock())
        self._version = version

    async def status(self) -> StoreStatus:
        return StoreStatus(self._version, "etcd:2379", 0, (), 1)


async def opened(version: str, folder: Path, *, production: bool = True) -> Register:
    """The example of a federation in production, or the same as a demo."""
    file = folder / "federation.yaml"
    file.write_text(EXAMPLE.read_text().replace("production: true", f"production: {str(production).lower()}"))
    store: Any = Running(version)
    remembered = RememberedRegister(folder / "register.json", LocalDisk())
    return await open_register(load_federation(file), store, remembered)


@pytest.mark.parametrize("version", ["3.5.0", "3.5.1", "3.5.2"])
async def test_a_production_federation_refuses_an_etcd_that_can_corrupt_its_data(version: str, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=rf"etcd {version}, which can corrupt") as refused:
        await opened(version, tmp_path)
    assert "3.5.6" in refused.value.help
    assert not (tmp_path / "register.json").exists(), "nothing was opened, so nothing is remembered"


async def test_a_production_federation_takes_any_other(tmp_path: Path) -> None:
    assert (await opened("3.5.9", tmp_path)).identity.uuid


async def test_a_demo_takes_what_there_is(tmp_path: Path) -> None:
    assert (await opened("3.5.1", tmp_path, production=False)).identity.uuid


def federation(folder: Path, **changes: str) -> FederationFile:
    """The example, with a key beside it and lines of its names replaced."""
    text = EXAMPLE.read_text().replace("/etc/hubfed/names.key", "names.key")
    for was, now in changes.items():
        text = text.replace(f"driver: {was}", f"driver: {now}")
    (folder / "federation.yaml").write_text(text.replace("production: true", "production: false"))
    return load_federation(folder / "federation.yaml")


def test_names_of_production_are_written_to_the_zone_that_the_file_names(tmp_path: Path) -> None:
    (tmp_path / "names.key").write_text("MDEyMzQ1Njc4OWFiY2RlZg==")
    (tmp_path / "names.key").chmod(0o600)
    names = name_driver(federation(tmp_path), tmp_path)
    assert names.capabilities.prerequisite
    assert names.capabilities.most_ttl_s == 30
    assert names.capabilities.seen_by == "198.51.100.53:53, 203.0.113.53:53"
    assert names.url_of("atm101.hubs.example.edu") == "http://atm101.hubs.example.edu"


def test_a_federation_by_https_has_such_addresses_and_its_edges_are_looked_at_so(tmp_path: Path) -> None:
    plain = federation(tmp_path)
    assert edge_prober(plain, tmp_path).tls is None
    (tmp_path / "names.key").write_text("MDEyMzQ1Njc4OWFiY2RlZg==")
    (tmp_path / "names.key").chmod(0o600)
    for port, shown in ((443, ""), (8443, ":8443")):
        text = (
            (tmp_path / "federation.yaml")
            .read_text()
            .replace("ttl: 30", f"ttl: 30\n    edge_port: {port}\n    https: true")
        )
        (tmp_path / "secure.yaml").write_text(text)
        secure = load_federation(tmp_path / "secure.yaml")
        assert edge_prober(secure, tmp_path).tls is not None
        assert name_driver(secure, tmp_path).url_of("a.hubs.example.edu") == f"https://a.hubs.example.edu{shown}"


def test_a_coordinator_without_the_key_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"names\.key"):
        name_driver(federation(tmp_path), tmp_path)


def test_a_driver_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="designate is not built yet"):
        name_driver(federation(tmp_path, rfc2136="designate"), tmp_path)
