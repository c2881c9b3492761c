"""Two sites and a witness as the how-to sets them up, as far as one machine allows: commands, certificates, register."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from federation.model.errors import FederationError
from federation.runtime.tls import TlsFiles
from federation.store.etcd import EtcdStore
from tests.support.etcd import answers, etcd

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/how-to/two-sites-and-a-witness.md").read_text()
FEDCTL = Path(sys.executable).parent / "fedctl"
UUID = "6f1c2d9e-0f5b-4d7e-9a49-0d6f6c1a2b3c"


def environment(folder: Path) -> dict[str, str]:
    path = f"{FEDCTL.parent}:{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config"), "COLUMNS": "200"}


def fedctl(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FEDCTL, *words], cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=60, check=False
    )


def federation_file(folder: Path, **changes: object) -> str:
    body = yaml.safe_load((ROOT / "configs/federation/two-clouds.yaml").read_text())
    body["spec"]["register"]["uuid"] = UUID
    for path, value in changes.items():
        part, name = path.split("__")
        target = body["spec"]["coordinators"][0] if part == "c1" else body["spec"][part]
        target[name] = value
        if value is None:
            del target[name]
    (folder / "federation.yaml").write_text(yaml.safe_dump(body))
    return "federation.yaml"


def tls(folder: Path, name: str) -> TlsFiles:
    return TlsFiles(folder / f"{name}.ca.pem", folder / f"{name}.pem", folder / f"{name}.key")


def names(path: Path) -> list[str]:
    cert = x509.load_pem_x509_certificate(path.read_bytes())
    try:
        found = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in found]


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the page's own commands were run."""
    folder = tmp_path_factory.mktemp("three-hosts")
    shutil.copytree(ROOT / "configs", folder / "configs")
    block = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)[0]
    assert "fedctl pki issue" in block
    done = subprocess.run(
        ["bash", "-euc", block],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "note" not in done.stderr
    assert "hubs-example-edu" in done.stdout, "the context that was added"
    return folder


def test_each_host_gets_what_its_files_name_and_no_key_of_a_ca(set_up: Path) -> None:
    hosts = set_up / "pki/hosts"
    for host, more in {"iu": {"agent"}, "tacc": {"agent"}, "witness": set[str]()}.items():
        found = {path.name for path in (hosts / host).iterdir()}
        wanted = {
            f"{name}{end}" for name in {"etcd", "coordinator", "register"} | more for end in (".ca.pem", ".pem", ".key")
        }
        assert found - {"agent.uid"} == wanted
        assert f"`pki/hosts/{host}/*`" in PAGE
        assert all(path.stat().st_mode & 0o077 == 0 for path in (hosts / host).glob("*.key"))
    assert "ca.key" not in {path.name for path in hosts.rglob("*")}
    federation = yaml.safe_load((set_up / "federation.yaml").read_text())
    for paths in (federation["spec"]["tls"], federation["spec"]["register"]["tls"]):
        assert all((hosts / "witness" / Path(path).name).exists() for path in paths.values())
    site = yaml.safe_load((set_up / "iu.yaml").read_text())
    assert all((hosts / "iu" / Path(path).name).exists() for path in site["spec"]["agent"]["tls"].values())


def test_certificates_say_who_they_are_of(set_up: Path) -> None:
    hosts = set_up / "pki/hosts"
    assert names(hosts / "witness/coordinator.pem")[:2] == [f"hubfed://{UUID}/coordinator/c3", "c3.hubs.example.edu"]
    assert names(hosts / "tacc/etcd.pem")[0] == "etcd.tacc.example.edu"
    uid = (hosts / "iu/agent.uid").read_text().strip()
    assert names(hosts / "iu/agent.pem") == [f"hubfed://{UUID}/agent/iu/{uid}", f"{uid}.iu.agent.hubfed"]
    assert names(hosts / "iu/register.pem") == [], "a client of the register serves nothing"
    assert names(set_up / "pki/users/ada.pem") == [f"hubfed://{UUID}/user/ada"]


async def test_a_register_member_takes_the_coordinators_certificate_and_no_agents(set_up: Path) -> None:
    hosts = set_up / "pki/hosts"
    register = tls(hosts / "witness", "register")
    with etcd(tls=tls(hosts / "iu", "etcd"), client_tls=register) as cluster:
        async with cluster.connected() as store:
            await answers(store)
        agent = replace(tls(hosts / "iu", "agent"), ca=register.ca)
        stranger = EtcdStore(cluster.endpoints, tls=agent, prefix="test", timeout_s=2.0)
        with pytest.raises(FederationError):
            await stranger.get("anything")
        await stranger.close()


def test_issuing_again_keeps_what_is_there_and_renewing_keeps_who_they_are(set_up: Path, tmp_path: Path) -> None:
    file = federation_file(tmp_path)
    shutil.copytree(set_up / "pki", tmp_path / "pki")
    cert = tmp_path / "pki/hosts/iu/agent.pem"
    before, who = cert.read_bytes(), names(cert)
    again = fedctl(tmp_path, "pki", "issue", file, "--user", "bob")
    assert "kept" in again.stdout
    assert cert.read_bytes() == before
    assert (tmp_path / "pki/users/bob.pem").exists()
    assert fedctl(tmp_path, "pki", "issue", file, "--renew").returncode == 0
    assert cert.read_bytes() != before
    assert names(cert) == who


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"register__uuid": None}, ["no spec.register.uuid", "Add `uuid: "]),
        ({"c1__advertise": None}, ["coordinator c1 listens at every address", "advertise"]),
        ({"c1__member": "elsewhere:2379"}, ["spec.coordinators[0].member", "one of register.endpoints"]),
    ],
)
def test_a_file_that_cannot_be_certified_says_what_to_write(
    tmp_path: Path, changes: dict[str, object], says: list[str]
) -> None:
    answer = fedctl(tmp_path, "pki", "issue", federation_file(tmp_path, **changes))
    assert answer.returncode == 2
    for word in says:
        assert word in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "pki").exists(), "nothing was written"


def test_a_ca_without_its_key_is_never_replaced_by_a_new_one(set_up: Path, tmp_path: Path) -> None:
    shutil.copytree(set_up / "pki", tmp_path / "pki")
    (tmp_path / "pki/ca.key").unlink()
    answer = fedctl(tmp_path, "pki", "issue", federation_file(tmp_path))
    assert answer.returncode == 2
    assert "Bring both files back" in answer.stderr
    other = federation_file(tmp_path, register__uuid="00000000-0000-4000-8000-000000000000")
    assert "Take another --out" in fedctl(tmp_path, "pki", "issue", other).stderr


def test_two_coordinators_at_one_site_get_a_certificate_each(tmp_path: Path) -> None:
    file = federation_file(tmp_path)
    body = yaml.safe_load((tmp_path / file).read_text())
    body["spec"]["coordinators"][1]["site"] = "iu"
    (tmp_path / file).write_text(yaml.safe_dump(body))
    assert fedctl(tmp_path, "pki", "issue", file).returncode == 0
    for name in ("c1", "c2"):
        assert f"hubfed://{UUID}/coordinator/{name}" in names(tmp_path / f"pki/hosts/iu/coordinator-{name}.pem")


def test_a_context_needs_all_three_files(tmp_path: Path) -> None:
    answer = fedctl(tmp_path, "context", "add", federation_file(tmp_path), "--cert", "pki/users/nobody")
    assert answer.returncode == 2
    assert "nobody.ca.pem" in answer.stderr
