"""A real coordinator with a real etcd that is not its own: it tells its hooks, ends, and tells them when all is well."""

from __future__ import annotations

import asyncio
import json
import sys
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


async def test_another_register_is_told_once_over_restarts_and_so_is_that_it_is_ours_again(tmp_path: Path) -> None:
    with etcd() as cluster:
        path, state = federation_file(tmp_path, cluster), tmp_path / "state"
        state.mkdir()
        async with cluster.connected("/hubfed/hubs") as store:
            await Register.open(store, OTHER_REGISTER)
            for _ in range(2):  # as often as its supervisor starts it
                with pytest.raises(RegisterFault):
                    await serve(path, "c1", state, asyncio.Event())
            (begun,) = told(tmp_path)
            assert (begun["event"], begun["turn"], begun["actor"]) == ("register", "begun", "coordinator/c1")
            assert OTHER_REGISTER in begun["text"]
            names = [entry.key for entry in (await store.list("")).entries]
            assert keys.REGISTER_ID in names
            await store.commit(Transaction(deletes=tuple(names)))
        stop = asyncio.Event()
        running = asyncio.get_running_loop().create_task(serve(path, "c1", state, stop))
        async with asyncio.timeout(30):
            while len(told(tmp_path)) < 2:
                assert not running.done(), running
                await asyncio.sleep(0.1)
        stop.set()
        await running
        assert [one["turn"] for one in told(tmp_path)] == ["begun", "ended"]
        assert not (state / "register-alarm.json").exists()
