"""Two sites and a witness set up as the how-to says: files, certificates, then the daemons in its order."""

from __future__ import annotations

import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from federation.model.profile import PROFILES, ProfileName
from federation.runtime.etcd_process import EtcdMemberSettings, etcd_arguments
from federation.runtime.tls import TlsFiles
from tests.support.bind import KEY_NAME, ZONE, secret_of
from tests.support.etcd import safe_etcd
from tests.support.federation import FEDCTL, until
from tests.support.network_daemons import HOSTS, SITES

if TYPE_CHECKING:
    from tests.support.three_hosts import ThreeHosts

COORDINATORS = dict(zip(HOSTS, ("c1", "c2", "c3"), strict=True))


@dataclass(frozen=True, slots=True)
class SiteKind:
    """What a site file says of a site with a cluster, whose node is the site's host: the fencer ends pods there, and the
    edge is a pod, at port 80 of the host."""

    spec: dict[str, Any]
    fencer: tuple[str, ...]  # words that it is given besides


LOCAL: dict[str, Any] = {"kind": "local", "capacity": {"cpu": 30, "memory": "60G"}}


def write_files(here: ThreeHosts, kinds: Mapping[str, SiteKind]) -> None:
    """The federation file and the site files; certificates; each host's folder."""
    net, folder = here.net, here.folder
    for name in ("logs", "copies"):
        (folder / name).mkdir(mode=0o700)
    at = net.address
    federation = {
        "profile": "lab",
        "register": {
            "uuid": str(uuid.uuid4()),
            "endpoints": [f"{at(host)}:2379" for host in HOSTS],
            "tls": paths("register"),
            "prefix": "hubfed/network",
        },
        "coordinators": [
            {
                "id": COORDINATORS[host],
                **({"site": host} if host in SITES else {"witness": True}),
                "listen": f"{at(host)}:8443",
                "member": f"{at(host)}:2379",
            }
            for host in HOSTS
        ],
        "tls": paths("coordinator"),
        "names": {
            "driver": "rfc2136",
            "zone": ZONE,
            "server": here.names.address,
            "key_name": KEY_NAME,
            "key_file": "names.key",
            "resolvers": [here.resolver.address],
            "ttl": 30,
        },
    }
    write(folder / "federation.yaml", "Federation", "network", federation)
    run(here, "pki", "issue", "federation.yaml", "--out", "pki")
    run(here, "context", "add", "federation.yaml", "--cert", "pki/users/admin")
    for host in HOSTS:
        home = folder / "pki/hosts" / host
        shutil.copy(folder / "federation.yaml", home)
        (home / "names.key").write_text(secret_of(here.names.key))
        (home / "names.key").chmod(0o600)
    for site in SITES:
        agent = {
            "coordinators": [f"{at(host)}:8443" for host in HOSTS],
            "peer_address": f"{at(site)}:8445",
            "profile": "lab",
            "tls": paths("agent"),
        }
        spec = {
            **(kinds[site].spec if site in kinds else LOCAL),
            "copies": {"store": str(folder / "copies")},
            "edge": {"listen": f"{at(site)}:80"},
            "agent": {**agent, "edge_address": f"{at(site)}:8446"} if site in kinds else agent,
        }
        write(folder / "pki/hosts" / site / "site.yaml", "Site", site, spec)


def start(here: ThreeHosts, memory: Path, kinds: Mapping[str, SiteKind]) -> None:
    """In the order of the how-to; returns when classes can be placed."""
    net, folder, daemons = here.net, here.folder, here.daemons
    for host in HOSTS:
        home = folder / "pki/hosts" / host
        tls = TlsFiles(home / "etcd.ca.pem", home / "etcd.pem", home / "etcd.key")
        cluster = {one: f"{net.address(one)}:2380" for one in HOSTS}
        member = EtcdMemberSettings(
            host, folder / f"etcd-{host}", f"{net.address(host)}:2379", cluster[host], cluster, tls
        )
        daemons.start(host, "etcd", *etcd_arguments(safe_etcd(), member))
    for host in HOSTS:
        file, state = folder / "pki/hosts" / host / "federation.yaml", folder / f"coordinator-{host}"
        state.mkdir(mode=0o700)
        words = ("--federation", file, "--id", COORDINATORS[host], "--state-dir", state)
        daemons.start(host, "coordinator", program("fed-coordinator"), *words)
    daemons.tend()
    until(lambda: here.fedctl("sites", ok=False).code == 0, "a coordinator answers", 60, here.logs)
    for site in SITES:
        home, state, volatile = folder / "pki/hosts" / site, folder / f"site-{site}", memory / site
        state.mkdir()
        state.chmod(0o711)  # students get through to their homes
        volatile.mkdir(mode=0o700, parents=True)
        uid = (home / "agent.uid").read_text().strip()
        until(lambda: joins(here, home, uid), f"{site} is let in", 60, here.logs)  # noqa: B023 - called at once
        places = ("--state-dir", state, "--runtime-dir", volatile)
        longest = f"{PROFILES[ProfileName.LAB].longest_s:g}"
        more = kinds[site].fencer if site in kinds else ()
        daemons.start(site, "fencer", program("fed-fencer"), "--site", site, *places, "--longest", longest, *more)
        daemons.start(site, "agent", program("fed-agent"), "--site", home / "site.yaml", *places)
    until(here.well, "both sites are heard", 60, here.logs)


def joins(here: ThreeHosts, home: Path, uid: str) -> bool:
    return here.fedctl("sites", "join", str(home / "site.yaml"), "--uid", uid, ok=False).code == 0


def paths(name: str) -> dict[str, str]:
    return {"ca": f"{name}.ca.pem", "cert": f"{name}.pem", "key": f"{name}.key"}


def write(path: Path, kind: str, name: str, spec: object) -> None:
    body = {"apiVersion": "hubfed/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    path.write_text(yaml.safe_dump(body, sort_keys=False))


def run(here: ThreeHosts, *words: str) -> None:
    done = subprocess.run([FEDCTL, *words], cwd=here.folder, env=here.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def program(name: str) -> Path:
    return Path(sys.executable).parent / name
