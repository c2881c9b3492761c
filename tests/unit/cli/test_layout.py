"""What a local federation consists of, by its sites; and directories that cannot be gone on with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate

from federation.cli.local.domains import domains_of, ports_of
from federation.cli.local.layout import Choices, Layout, load, prepare, repick, site_names
from federation.cli.local.programs import programs
from federation.model.errors import InvalidRequest, Refused
from federation.runtime.clock import SystemClock
from federation.runtime.disk import LocalDisk
from federation.runtime.etcd_process import EtcdBinary
from federation.runtime.identity_uri import agent_host, agent_uri
from federation.runtime.node import ProxyInstall
from federation.runtime.pki import Authority, serves_as
from federation.runtime.settings_files import load_federation, load_site

ETCD = EtcdBinary(Path("/bin/etcd"), "3.5.9")
PROXY = ProxyInstall(Path("/bin/node"), Path("/lib/proxy"))


def made(root: Path, *sites: str) -> tuple[Layout, Choices]:
    layout = Layout(root)
    return layout, prepare(layout, sites, SystemClock(), LocalDisk())


@pytest.mark.parametrize(
    ("sites", "domains"),
    [
        (("iu",), {"iu": ("c1", "c2")}),
        (("iu", "tacc"), {"iu": ("c1",), "tacc": ("c2",), "witness": ("c3",)}),
        (("iu", "tacc", "sdsc"), {"iu": ("c1",), "tacc": ("c2",), "witness": ("c3",)}),
    ],
)
def test_two_sites_have_a_witness_and_one_alone_has_none(
    sites: tuple[str, ...], domains: dict[str, tuple[str, ...]]
) -> None:
    assert {domain.name: domain.coordinators for domain in domains_of(sites)} == domains


def test_every_program_carries_the_mark_of_its_failure_domain(tmp_path: Path) -> None:
    layout, choices = made(tmp_path / "f", "iu", "tacc", "sdsc")
    sites: dict[str, set[str]] = {}
    for program in programs(layout, choices, ETCD, PROXY):
        sites.setdefault(program.marks(layout).get("HUBFED_SITE", ""), set()).add(program.name)
    assert {"etcd-iu", "c1", "agent-iu"} <= sites["iu"]
    assert {"etcd-tacc", "c2", "agent-tacc"} <= sites["tacc"]
    assert "agent-sdsc" in sites["sdsc"]
    assert sites["witness"] == {"etcd-witness", "c3"}
    assert sites[""] == {"frontdoor"}


def test_the_federation_file_has_a_witness_where_there_are_two_sites(tmp_path: Path) -> None:
    two, _ = made(tmp_path / "two", "iu", "tacc")
    spec = load_federation(two.federation).spec
    assert spec.has_witness
    assert [(c.id, c.domain) for c in spec.coordinators] == [("c1", "iu"), ("c2", "tacc"), ("c3", "witness")]
    assert [c.member for c in spec.coordinators] == list(spec.register_.endpoints)
    one, _ = made(tmp_path / "one", "iu")
    assert not load_federation(one.federation).spec.has_witness


def test_a_start_without_words_goes_on_with_what_is_there(tmp_path: Path) -> None:
    layout, first = made(tmp_path / "f", "west", "east")
    assert prepare(layout, (), SystemClock(), LocalDisk()) == first
    with pytest.raises(InvalidRequest, match="of west, east, not of iu"):
        prepare(layout, ("iu",), SystemClock(), LocalDisk())


def test_a_directory_of_an_earlier_version_is_left_as_it_is_and_says_what_to_do(tmp_path: Path) -> None:
    layout, _choices = made(tmp_path / "f", "iu", "tacc")
    body = json.loads(layout.choices.read_text())
    body["ports"] = dict.fromkeys(("etcd", "etcd-peer", "c1", "c2", "frontdoor"), 1)
    layout.choices.write_text(json.dumps(body))
    with pytest.raises(InvalidRequest, match="another version") as error:
        prepare(layout, ("iu", "tacc"), SystemClock(), LocalDisk())
    assert "fedctl down --delete" in error.value.help
    assert load(layout, LocalDisk()) is not None, "so that `fedctl down` can stop and delete it"
    assert json.loads(layout.choices.read_text()) == body


@pytest.mark.parametrize(
    ("text", "names"), [("", ()), ("iu", ("iu",)), ("iu,tacc", ("iu", "tacc")), (" iu, tacc ", ("iu", "tacc"))]
)
def test_sites_are_named_with_commas_between(text: str, names: tuple[str, ...]) -> None:
    assert site_names(text) == names


@pytest.mark.parametrize(
    ("text", "says"),
    [("A b", "'A b' cannot be"), ("iu,,tacc", "'' cannot be"), ("iu,witness", "witness"), ("iu,iu", "named twice")],
)
def test_a_bad_name_of_a_site_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        site_names(text)


def test_a_directory_may_have_a_name_that_a_federation_may_not(tmp_path: Path) -> None:
    _layout, choices = made(tmp_path / "My Hubs_2", "iu")
    assert choices.name == "my-hubs-2"


def test_a_start_that_was_killed_between_two_files_of_a_certificate_is_made_good(tmp_path: Path) -> None:
    layout, _choices = made(tmp_path / "f", "iu")
    whole, broken = layout.tls("agent-iu"), layout.tls("c1")
    kept = whole.cert.read_bytes()
    broken.cert.unlink()  # a key without its certificate
    made(tmp_path / "f", "iu")
    broken.read()
    assert (
        load_pem_x509_certificate(broken.cert.read_bytes()).public_key()
        == load_pem_private_key(broken.key.read_bytes(), None).public_key()
    )
    assert whole.cert.read_bytes() == kept, "what is whole stays"


def test_ports_that_are_taken_are_drawn_anew_but_not_those_between_register_members(tmp_path: Path) -> None:
    layout, choices = made(tmp_path / "f", "iu", "tacc")
    changed = repick(layout, choices, {"c1", "etcd-iu"}, LocalDisk())
    assert changed.ports["c1"] != choices.ports["c1"]
    assert load_federation(layout.federation).spec.register_.endpoints[0] == changed.address("etcd-iu")
    with pytest.raises(Refused, match=str(choices.ports["peer-iu"])):
        repick(layout, choices, {"c1", "peer-iu"}, LocalDisk())
    assert set(ports_of(choices.domains, tuple(choices.sites))) == set(choices.ports)


def test_every_agent_has_an_address_for_the_others_and_a_certificate_for_it(tmp_path: Path) -> None:
    layout, choices = made(tmp_path / "f", "iu", "tacc")
    for site, uid in choices.sites.items():
        settings = load_site(layout.site_file(site)).spec.agent
        assert settings is not None
        assert settings.peer_address == choices.address(f"agent-{site}")
        assert serves_as(layout.tls(f"agent-{site}").cert.read_bytes(), (agent_host(site, uid),))


def test_a_federation_of_agents_that_did_not_listen_gets_ports_and_certificates(tmp_path: Path) -> None:
    layout, choices = made(tmp_path / "f", "iu", "tacc")
    ports = {role: port for role, port in choices.ports.items() if not role.startswith("agent-")}
    layout.choices.write_text(json.dumps({**json.loads(layout.choices.read_text()), "ports": ports}))
    earlier = layout.tls("agent-iu")
    authority = Authority.load(layout.pki, LocalDisk())
    assert authority is not None
    uri = agent_uri(choices.uuid, "iu", choices.sites["iu"])
    authority.write(authority.issue("agent-iu", SystemClock().now(), uri=uri), layout.pki, "agent-iu", LocalDisk())
    kept = layout.tls("agent-tacc").cert.read_bytes()
    _, now = made(tmp_path / "f")
    assert now.ports.keys() == choices.ports.keys()
    assert {role: now.ports[role] for role in ports} == ports
    assert serves_as(earlier.cert.read_bytes(), (agent_host("iu", choices.sites["iu"]),))
    assert layout.tls("agent-tacc").cert.read_bytes() == kept


def test_hooks_that_somebody_wrote_into_the_federation_file_outlive_a_start(tmp_path: Path) -> None:
    layout, _ = made(tmp_path / "f", "iu", "tacc")
    written = (
        layout.federation.read_text() + '  hooks: [{name: chat, url: "http://127.0.0.1:9/x"}]\n  alarm_after: 5m\n'
    )
    layout.federation.write_text(written)
    made(tmp_path / "f")
    spec = load_federation(layout.federation).spec
    assert [hook.name for hook in spec.hooks] == ["chat"]
    assert spec.alarm_after.seconds == 300
    layout.federation.write_text("{")
    made(tmp_path / "f")
    assert load_federation(layout.federation).spec.hooks == ()
