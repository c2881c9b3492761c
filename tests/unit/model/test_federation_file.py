"""The federation file: the examples load, failure domains are told apart, and what is missing is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from federation.model.federation_file import FederationFile
from federation.model.files.finding import Checked
from federation.model.files.load import read_federation, read_site
from federation.model.hooks import HookEvent

CONFIGS = Path(__file__).parents[3] / "configs"
MEMBERS = ["etcd-iu:2379", "etcd-tacc:2379", "etcd-witness:2379"]
PLACES: list[dict[str, Any]] = [{"site": "iu"}, {"site": "tacc"}, {"witness": True}]

ZONE: dict[str, Any] = {
    "driver": "rfc2136",
    "zone": "hubs.example.edu",
    "server": "192.0.2.53:53",
    "key_name": "hubfed",
    "key_file": "names.key",
    "resolvers": ["198.51.100.53:53"],
}


def read(members: list[str], places: list[dict[str, Any]], **more: Any) -> Checked[FederationFile]:
    coordinators = [{"id": f"c{n}", "listen": "0.0.0.0:8443", **place} for n, place in enumerate(places, 1)]
    tls = {"ca": "ca", "cert": "cert", "key": "key"}
    spec = {"register": {"endpoints": members, "tls": tls}, "coordinators": coordinators, "names": ZONE, **more}
    body = {"apiVersion": "hubfed/v1", "kind": "Federation", "metadata": {"name": "hubs"}, "spec": spec}
    return read_federation("f.yaml", yaml.safe_dump(body).encode())


def only(checked: Checked[FederationFile]) -> FederationFile:
    assert checked.findings == ()
    return checked.values[0]


@pytest.mark.parametrize("path", sorted((CONFIGS / "federation").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_are_right_and_have_a_witness(path: Path) -> None:
    federation = only(read_federation(path.name, path.read_bytes()))
    assert federation.spec.has_witness
    assert federation.spec.notices == ()
    assert [c.domain for c in federation.spec.coordinators] == ["iu", "tacc", "witness"]
    assert [c.member for c in federation.spec.coordinators] == list(federation.spec.register_.endpoints)


@pytest.mark.parametrize("path", sorted((CONFIGS / "sites").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_example_sites_are_right(path: Path) -> None:
    assert read_site(path.name, path.read_bytes()).findings == ()


@pytest.mark.parametrize(
    ("members", "places", "there", "says"),
    [
        (MEMBERS, PLACES, True, ()),
        (MEMBERS, [{}, {}], False, ("no coordinator with witness: true",)),
        (MEMBERS[:1], PLACES, False, ("1 register members",)),
        (MEMBERS[:2], PLACES, False, ("2 register members", "no more failures than 1")),
        ([MEMBERS[0]] * 3, PLACES, False, ("1 register members",)),
        ([*MEMBERS, "etcd-x:2379"], PLACES, True, ("no more failures than 3",)),
    ],
)
def test_a_witness_is_a_coordinator_there_and_three_register_members(
    members: list[str], places: list[dict[str, Any]], there: bool, says: tuple[str, ...]
) -> None:
    spec = only(read(members, places)).spec
    assert spec.has_witness is there
    assert len(spec.notices) == len(says)
    for notice, word in zip(spec.notices, says, strict=True):
        assert word in notice


def test_production_without_a_witness_is_allowed() -> None:
    assert not only(read(MEMBERS, PLACES[:2], production=True)).spec.has_witness


def test_a_file_of_before_there_were_domains_still_loads() -> None:
    assert [c.domain for c in only(read(MEMBERS[:1], [{}])).spec.coordinators] == [""]


@pytest.mark.parametrize(
    ("place", "says"),
    [
        ({"site": "iu", "witness": True}, "both at site iu and at the witness"),
        ({"site": "witness"}, "witness: true instead"),
        ({"site": "iu", "member": "etcd-elsewhere:2379"}, "one of register.endpoints"),
    ],
)
def test_a_coordinator_is_at_one_place_beside_a_known_member(place: dict[str, Any], says: str) -> None:
    checked = read(MEMBERS, [place])
    assert len(checked.findings) == 1
    assert says in str(checked.findings[0])
    assert checked.findings[0].path.startswith("spec.coordinators[0]")


@pytest.mark.parametrize(
    ("after", "right"), [("1h", True), ("5m", True), ("4m", False), ("0s", False), ("soon", False)]
)
def test_classes_go_home_only_after_a_time_that_means_something(after: str, right: bool) -> None:
    checked = read(MEMBERS, PLACES, failback_after=after)
    assert (checked.findings == ()) is right
    if not right:
        assert checked.findings[0].path == "spec.failback_after"


@pytest.mark.parametrize(
    ("every", "production", "right"),
    [("15m", True, True), ("5m", True, True), ("4m", True, False), ("10s", False, True), ("9s", False, False)],
)
def test_test_servers_are_started_at_a_rate_that_classes_do_not_feel(every: str, production: bool, right: bool) -> None:
    by_https = {**ZONE, "https": True}
    found = read(MEMBERS, PLACES, server_test_every=every, production=production, names=by_https).findings
    assert ("spec.server_test_every" not in {f.path for f in found}) is right
    assert only(read(MEMBERS, PLACES)).spec.server_test_every is None


def test_where_whoever_listens_would_get_a_token_no_test_servers_are_started() -> None:
    found = read(MEMBERS, PLACES, server_test_every="15m", production=True).findings
    assert [f.path for f in found if "whoever listens would get a token" in str(f)] == ["spec.server_test_every"]


@pytest.mark.parametrize(
    ("change", "path", "says"),
    [
        ({"server": None}, "spec.names.server", "rfc2136 needs server"),
        ({"key_name": None}, "spec.names.key_name", "rfc2136 needs key_name"),
        ({"key_file": None}, "spec.names.key_file", "rfc2136 needs key_file"),
        ({"server": "192.0.2.53"}, "spec.names.server", "host:port"),
        ({"zone": "localhost"}, "spec.names.zone", "no zone that a name server could hold"),
        ({"zone": "hubs.example.edu."}, "spec.names.zone", "no zone that a name server could hold"),
        ({"algorithm": "hmac-md5"}, "spec.names.algorithm", "hmac-sha256"),
        ({"resolvers": ["198.51.100.53:53", "192.0.2.53:53"]}, "spec.names.resolvers[1]", "it says what it was told"),
        ({"ttl": 3600}, "spec.names.ttl", "at most 60"),
        ({"https": False, "edge_port": 443}, "spec.names.https", "port 443 means https"),
        ({"ca": "ca.pem"}, "spec.names.ca", "students come by http"),
        ({"edge_port": 0}, "spec.names.edge_port", "at least 1"),
        ({"driver": "frontdoor"}, "spec.names.file", "frontdoor needs file"),
    ],
)
def test_what_is_wrong_with_names_is_said_where_it_stands(change: dict[str, Any], path: str, says: str) -> None:
    names = {key: value for key, value in {**ZONE, **change}.items() if value is not None}
    findings = {finding.path: str(finding) for finding in read(MEMBERS, PLACES, names=names).findings}
    assert says in findings[path]


@pytest.mark.parametrize(
    ("change", "by_https"),
    [({}, False), ({"edge_port": 443}, True), ({"edge_port": 8443, "https": True}, True), ({"https": True}, True)],
)
def test_students_come_by_https_where_the_file_or_the_port_says_so(change: dict[str, Any], by_https: bool) -> None:
    names = only(read(MEMBERS, PLACES, names={**ZONE, **change})).spec.names
    assert names.by_https is by_https


def test_the_laptops_front_door_speaks_http() -> None:
    names = {"driver": "frontdoor", "file": "names.json", "address": "127.0.0.1:8000", "https": True}
    (finding,) = read(MEMBERS, PLACES, names=names).findings
    assert finding.path == "spec.names.https"


def test_names_that_nobody_outside_sees_are_noted_and_refused_in_production() -> None:
    names = {key: value for key, value in ZONE.items() if key != "resolvers"}
    (notice,) = only(read(MEMBERS, PLACES, names=names)).spec.notices
    assert "not outside" in notice
    (finding,) = read(MEMBERS, PLACES, names=names, production=True).findings
    assert finding.path == "spec.names.resolvers"


def with_hooks(*hooks: dict[str, Any], **more: Any) -> Checked[FederationFile]:
    return read(MEMBERS, PLACES, hooks=list(hooks), **more)


def test_a_hook_is_called_for_everything_unless_it_says_what_for() -> None:
    first, second = only(
        with_hooks(
            {"name": "a", "url": "https://a.example.edu/x"}, {"name": "b", "command": ["/bin/b"], "events": ["freeze"]}
        )
    ).spec.hooks
    assert set(first.events) == set(HookEvent)
    assert second.events == (HookEvent.FREEZE,)
    assert (first.timeout_s, first.calls, second.calls) == (10.0, "https://a.example.edu", "/bin/b")


def test_alarms_come_after_two_minutes_unless_the_file_says_otherwise() -> None:
    assert only(read(MEMBERS, PLACES)).spec.alarm_after.seconds == 120
    assert only(read(MEMBERS, PLACES, alarm_after="5m")).spec.alarm_after.seconds == 300


@pytest.mark.parametrize(
    ("hook", "says"),
    [
        ({}, "neither command nor url"),
        ({"command": ["/bin/b"], "url": "https://a.example.edu/x"}, "it has command and url"),
        ({"url": "ftp://a.example.edu/x"}, "no web address"),
        ({"url": "https://ann:pass@a.example.edu/x"}, "password"),
        ({"command": ["mail"]}, "an absolute path"),
        ({"command": []}, "command"),
        ({"command": ["/bin/b"], "signature_key": "key"}, "a command gets no signature"),
        ({"url": "https://a.example.edu/x", "events": []}, "events"),
        ({"url": "https://a.example.edu/x", "events": ["reboot"]}, "events"),
        ({"url": "https://a.example.edu/x", "timeout_s": 0}, "timeout_s"),
        ({"url": "https://a.example.edu/x", "timeout_s": 600}, "timeout_s"),
    ],
)
def test_a_hook_that_cannot_be_called_is_refused(hook: dict[str, Any], says: str) -> None:
    checked = with_hooks({"name": "a", **hook})
    assert len(checked.findings) == 1
    assert says in str(checked.findings[0])
    assert "pass@" not in str(checked.findings[0])


def test_two_hooks_of_one_name_and_too_many_are_refused() -> None:
    one = {"name": "a", "url": "https://a.example.edu/x"}
    assert "two hooks are named a" in str(with_hooks(one, one).findings[0])
    assert with_hooks(*({**one, "name": f"a{n}"} for n in range(17))).findings
