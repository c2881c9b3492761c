"""A real coordinator with a real etcd that is not its own: it tells its hooks, and tells them when all is well."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.coordinator.main import serve
from federation.model.errors import RegisterFault
from federation.store import keys
from federation.store.interface import Transaction
from federation.store.register import Register
from tests.support.certificates import OTHER_REGISTER, REGISTER, Certificates
from tests.support.etcd import EtcdCluster, etcd, free_ports

SETTLE_S = 3.0  # longer than between two looks of the alarm
BOTH = 2
TELL = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read() + '\\n')"


def federation_file(folder: Path, cluster: EtcdCluster) -> Path:
    tls = Certificates(folder, REGISTER).coordinator()
    door, own = (f"127.0.0.1:{port}" for port in free_ports(2))
    spec = {
        "register": {"uuid": REGISTER, "endpoints": list(cluster.endpoints), "prefix": "hubfed"},
        "coordinators": [
            {"id": "c1", "listen": own, "tls": {"ca": tls.ca.name, "cert": tls.cert.name, "key": tls.key.name}}
        ],
        "names": {"driver": "frontdoor", "file": str(folder / "names.json"), "address": door},
        "hooks": [{"name": "log", "command": [sys.executable, "-c", TELL, str(folder / "told")]}],
    }
    body = {"apiVersion": "hubfed/v1", "kind": "Federation", "metadata": {"name": "hubs"}, "spec": spec}
    path = folder / "federation.yaml"
    path.write_text(yaml.safe_dump(body))
    return path


def told(folder: Path) -> list[dict[str, Any]]:
    file = folder / "told"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


async def served_until(path: Path, state: Path, seen: Callable[[], bool]) -> None:
    """A real coordinator, until it ends by itself or something is seen."""
    stop = asyncio.Event()
    running = asyncio.get_running_loop().create_task(serve(path, "c1", state, stop))
    async with asyncio.timeout(30):
        while not seen() and not running.done():
            await asyncio.sleep(0.1)
    await asyncio.sleep(SETTLE_S)
    stop.set()
    await running


async def test_another_register_is_told_once_over_restarts_and_so_is_that_it_is_ours_again(tmp_path: Path) -> None:
    with etcd() as cluster:
        path, state = federation_file(tmp_path, cluster), tmp_path / "state"
        state.mkdir()
        async with cluster.connected("/hubfed/hubs") as store:
            await Register.open(store, OTHER_REGISTER)
            for _ in range(2):  # however often it is started
                await served_until(path, state, lambda: bool(told(tmp_path)))
            (begun,) = told(tmp_path)
            assert (begun["event"], begun["turn"], begun["actor"]) == ("register", "begun", "coordinator/c1")
            assert OTHER_REGISTER in begun["text"]
            doubting = asyncio.get_running_loop().create_task(served_until(path, state, lambda: False))
            await asyncio.sleep(SETTLE_S)
            names = [entry.key for entry in (await store.list("")).entries]
            assert names == [keys.REGISTER_ID], "nothing was written into it"
            await store.commit(Transaction(deletes=tuple(names)))
            with pytest.raises(RegisterFault, match="begins anew"):
                await doubting
        await served_until(path, state, lambda: len(told(tmp_path)) == BOTH)  # its supervisor starts it again
        assert [one["turn"] for one in told(tmp_path)] == ["begun", "ended"]
        assert not (state / "register-alarm.json").exists()
