"""What the JupyterHub chart is given, row by row: fragment of a classroom -> value at a path of the chart."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from federation.core.chart_values.row import Given, SitePart
from federation.core.chart_values.table import ROWS, merged, path_of, values_of
from tests.support.classrooms import classroom

ABSENT = object()
CAR = {"name": "idv", "image": "unidata/idv:2026", "ports": [6080], "memory": {"guarantee": "2G", "limit": "3G"}}
CAR_VALUES = {
    "name": "idv",
    "image": "unidata/idv:2026",
    "resources": {"requests": {"memory": "2Gi", "cpu": "1000m"}, "limits": {"memory": "3Gi", "cpu": "2000m"}},
    "ports": [{"containerPort": 6080}],
    "volumeMounts": [{"name": "volume-{user_server}", "mountPath": "/home/jovyan"}],
}
SIZES = {
    "profiles": [
        {"name": "small", "default": True},
        {"name": "large", "memory": {"guarantee": "8G", "limit": "8G"}, "cpu": {"guarantee": 2, "limit": 4}},
    ]
}
SIZES_VALUES = [
    {"display_name": "small", "slug": "small", "kubespawner_override": {}, "default": True},
    {
        "display_name": "large",
        "slug": "large",
        "kubespawner_override": {"mem_guarantee": "8G", "mem_limit": "8G", "cpu_guarantee": 2, "cpu_limit": 4},
    },
]
IMAGE = {"name": "quay.example/atm", "tag": "2026aug01"}
DIGEST = "0a" * 32
FOLDER = {"name": "course", "path": "/data"}
SOURCE = {"name": "gfs", "kind": "thredds", "url": "https://thredds.example.edu/t"}
DOOR = {"cidr": "10.0.0.0/24", "port": 443}
SHORT = {"start": "2026-09-15", "end": "2026-09-16", "timezone": "UTC"}
WHO = {"expected": 10, "admins": ["Ann"], "users": ["S02", "s01"]}
WORKSHOP = {"term": SHORT, "roster": {**WHO, "admit": "anyone-with-password"}}
OAUTH = {"type": "cilogon", "secret": "oauth", "options": {"allowed_idps": ["https://idp.example.edu"]}}
LARGE_PROXY = {"requests": {"memory": "512Mi"}, "limits": {"memory": "2Gi"}}
HUB = "hub/config"
SEAT = "singleuser"
HOMES = f"{SEAT}/storage"

CASES: list[tuple[str, dict[str, Any], Any]] = [
    # in JupyterHub's grammar, where G is 1024-based, and never Gi
    (f"{SEAT}/memory/guarantee", {"resources": {"memory": {"guarantee": "1Gi", "limit": "3G"}}}, "1G"),
    (f"{SEAT}/memory/limit", {"resources": {"memory": {"guarantee": "1G", "limit": "1536M"}}}, "1.5G"),
    # numbers, which the schema of the chart demands
    (f"{SEAT}/cpu/guarantee", {"resources": {"cpu": {"guarantee": "50m", "limit": 1}}}, 0.05),
    (f"{SEAT}/cpu/limit", {"resources": {"cpu": {"guarantee": 1, "limit": 2}}}, 2),
    (f"{SEAT}/extraResource/limits", {"resources": {"gpu": {"count": 1, "kind": "g3.small"}}}, {"nvidia.com/gpu": "1"}),
    (f"{SEAT}/extraResource/limits", {}, ABSENT),
    (f"{SEAT}/profileList", {"resources": SIZES}, SIZES_VALUES),
    (f"{SEAT}/profileList", {}, ABSENT),
    (f"{SEAT}/image/name", {}, "quay.example/atm"),
    (f"{SEAT}/image/tag", {}, "2026aug01"),
    # the chart joins name and tag with a colon: so a digest comes out whole
    (f"{SEAT}/image/name", {"image": {"name": "a/b", "digest": f"sha256:{DIGEST}"}}, "a/b@sha256"),
    (f"{SEAT}/image/tag", {"image": {"name": "a/b", "digest": f"sha256:{DIGEST}"}}, DIGEST),
    (f"{SEAT}/image/name", {"image": {"name": "a/b", "tag": "v1", "digest": f"sha256:{DIGEST}"}}, "a/b:v1@sha256"),
    ("imagePullSecrets", {"image": {**IMAGE, "pull_secret": "registry"}}, ["registry"]),
    (f"{SEAT}/extraContainers", {"image": {**IMAGE, "sidecars": [CAR]}}, [CAR_VALUES]),
    ("prePuller/extraImages", {"image": {**IMAGE, "sidecars": [CAR]}}, {"idv": {"name": "unidata/idv", "tag": "2026"}}),
    (f"{SEAT}/extraEnv", {"image": {**IMAGE, "profiles_env": {"DEPTH": "1"}}}, {"DEPTH": "1"}),
    (
        f"{SEAT}/lifecycleHooks/postStart/exec/command",
        {"content": [{"git": "https://e.edu/c.git", "branch": "main", "dir": "c"}], "post_start": ["chmod 700 ~/.ssh"]},
        ["sh", "-c", "gitpuller https://e.edu/c.git main c\nchmod 700 ~/.ssh\ntrue"],
    ),
    (f"{SEAT}/lifecycleHooks", {}, ABSENT),
    (f"{SEAT}/defaultUrl", {}, "/lab"),
    (f"{HOMES}/type", {"storage": {"type": "dynamic"}}, "dynamic"),
    (f"{HOMES}/type", {"storage": {"type": "none"}}, "none"),
    (f"{HOMES}/dynamic", {"storage": {"type": "none"}}, ABSENT),
    (f"{HOMES}/capacity", {"storage": {"capacity": "10Gi"}}, "10Gi"),
    (f"{HOMES}/capacity", {"storage": {"capacity": "5G"}}, "5G"),
    (f"{HOMES}/dynamic/storageClass", {"storage": {"class": "ceph-block"}}, "ceph-block"),
    (f"{HOMES}/dynamic/storageClass", {}, "of-the-site"),
    (f"{HOMES}/dynamic/pvcNameTemplate", {}, "claim-{user_server}"),
    (f"{HOMES}/dynamic/volumeNameTemplate", {}, "volume-{user_server}"),
    (f"{HOMES}/dynamic/storageAccessModes", {}, ["ReadWriteOnce"]),
    (f"{HOMES}/type", {"storage": {"type": "shared-home"}}, "static"),
    (f"{HOMES}/static/pvcName", {"storage": {"type": "shared-home"}}, "homes"),
    (f"{HOMES}/static/subPath", {"storage": {"type": "shared-home"}}, "{username}"),
    (
        f"{HOMES}/extraVolumes",
        {"storage": {"shared": [FOLDER]}},
        [{"name": "course", "persistentVolumeClaim": {"claimName": "course"}}],
    ),
    (
        f"{HOMES}/extraVolumeMounts",
        {"storage": {"shared": [FOLDER]}},
        [{"name": "course", "mountPath": "/data", "readOnly": True}],
    ),
    (f"{HOMES}/extraLabels", {}, {"hubfed.io/hub": "atm101-7k2x9q"}),
    (
        f"{SEAT}/networkPolicy/egress",
        {"data": [{**SOURCE, "egress": [DOOR]}]},
        [{"to": [{"ipBlock": {"cidr": "10.0.0.0/24"}}], "ports": [{"port": 443, "protocol": "TCP"}]}],
    ),
    (f"{SEAT}/networkPolicy/egress", {}, ABSENT),
    # policies add up: what this let through, our own chart `classroom` could not take away
    (f"{SEAT}/networkPolicy/egressAllowRules/nonPrivateIPs", {}, False),
    (f"{SEAT}/cloudMetadata/blockWithIptables", {}, True),
    # a label's value has no dots in names of groups
    (f"{SEAT}/nodeSelector", {}, {"capi.stackhpc.com/node-group": "m3-medium"}),
    (
        f"{SEAT}/extraLabels",
        {},
        {"hubfed.io/hub": "atm101-7k2x9q", "hub.jupyter.org/network-access-hub": "true"},
    ),
    (f"{SEAT}/extraAnnotations", {}, {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}),
    (f"{SEAT}/startTimeout", {"limits": {"start_timeout": 300}}, 300),
    (f"{HUB}/Authenticator/admin_users", {"roster": WHO}, ["ann"]),
    (f"{HUB}/Authenticator/allowed_users", {"roster": WHO}, ["s01", "s02"]),
    (f"{HUB}/Authenticator/allowed_users", WORKSHOP, ABSENT),
    (f"{HUB}/Authenticator/allow_all", WORKSHOP, True),
    # nobody signs in as the user of test servers, whoever else is let in
    (f"{HUB}/Authenticator/blocked_users", {}, ["hubfed-tester"]),
    (f"{HUB}/Authenticator/allow_existing_users", {}, True),
    (f"{HUB}/Authenticator/allow_existing_users", {"roster": {**WHO, "sync": "one-way"}}, ABSENT),
    (f"{HUB}/JupyterHub/authenticator_class", {"auth": OAUTH}, "cilogon"),
    (
        f"{HUB}/CILogonOAuthenticator",
        {"auth": OAUTH},
        {
            "oauth_callback_url": "https://atm101.localhost/hub/oauth_callback",
            "allowed_idps": ["https://idp.example.edu"],
        },
    ),
    (f"{HUB}/DummyAuthenticator", {}, ABSENT),
    ("hub/services/hubfed", {}, {}),
    (
        "hub/loadRoles/hubfed",
        {},
        {
            "scopes": [
                *("list:users", "admin:users", "admin:servers", "read:hub", "read:metrics"),
                *("tokens", "access:servers"),
            ],
            "services": ["hubfed"],
        },
    ),
    ("hub/db/type", {}, "sqlite-pvc"),
    ("hub/db/pvc/storage", {}, "1Gi"),
    ("hub/db/pvc/storageClassName", {}, "of-the-site"),
    ("hub/concurrentSpawnLimit", {"limits": {"concurrent_spawns": 32}}, 32),
    ("hub/activeServerLimit", {"roster": {**WHO, "expected": 25}}, 30),
    ("hub/activeServerLimit", {"limits": {"active_servers": 7}}, 7),
    ("hub/consecutiveFailureLimit", {}, 20),
    ("cull/enabled", {}, True),
    ("cull/enabled", {"limits": {"cull_after": 0}}, False),
    ("cull/timeout", {"limits": {"cull_after": 1800}}, 1800),
    ("cull/timeout", {"limits": {"cull_after": 0}}, ABSENT),
    ("cull/maxAge", {"limits": {"max_age": 86400}}, 86400),
    ("cull/every", {}, 600),
    ("cull/users", {}, False),
    ("hub/config/KubeSpawner/delete_pvc", {}, False),
    ("hub/config/KubeSpawner/remember_pvc_name", {}, False),
    ("ingress/enabled", {}, False),
    ("proxy/service/type", {}, "ClusterIP"),
    ("proxy/chp/resources", {"roster": {**WHO, "expected": 201}}, LARGE_PROXY),
    ("proxy/chp/resources", {}, ABSENT),
    ("proxy/chp/networkPolicy/allowedIngressPorts", {}, []),
    ("scheduling/podPriority/enabled", {}, True),
    ("scheduling/userPlaceholder/enabled", {}, True),
    ("scheduling/userPlaceholder/replicas", {}, 0),
    ("scheduling/userScheduler/enabled", {}, True),
    ("scheduling/corePods/nodeAffinity/matchNodePurpose", {}, "require"),
    ("scheduling/userPods/nodeAffinity/matchNodePurpose", {}, "ignore"),
    ("prePuller/hook/enabled", {}, True),
    ("prePuller/continuous/enabled", {}, True),
    ("custom/hubfed", {}, {"classroom": "atm101", "hub": "atm101-7k2x9q"}),
]  # fmt: skip


def given(**spec: Any) -> Given:
    site = SitePart(storage_class="of-the-site", node_group="m3.medium", core_nodes=True)
    return Given(classroom("atm101", **spec), "atm101-7k2x9q", site)


def at(values: dict[str, Any], path: str) -> Any:
    found: Any = values
    for key in path.split("/"):
        if not isinstance(found, dict) or key not in found:
            return ABSENT
        found = found[key]
    return found


@pytest.mark.parametrize(("path", "spec", "value"), CASES)
def test_each_field_goes_where_the_chart_reads_it(path: str, spec: dict[str, Any], value: Any) -> None:
    found = at(values_of(given(**spec)), path)
    assert found == value
    assert type(found) is type(value), "a quoted number is another value to the chart"


def test_no_row_is_without_a_case() -> None:
    shown = {path for path, _spec, value in CASES if value is not ABSENT}
    rows = {"/".join(path_of(row, given(auth=OAUTH))) for row in ROWS}
    assert rows <= shown


def test_a_sidecar_that_a_size_names_is_in_seats_of_that_size_only() -> None:
    other = {**CAR, "name": "cave", "image": "unidata/cave:1"}
    sizes = [{"name": "plain", "default": True}, {"name": "desktop", "sidecar": "idv"}]
    values = values_of(given(image={**IMAGE, "sidecars": [CAR, other]}, resources={"profiles": sizes}))
    assert [car["name"] for car in at(values, f"{SEAT}/extraContainers")] == ["cave"]
    plain, desktop = at(values, f"{SEAT}/profileList")
    assert plain["kubespawner_override"] == {}
    assert [car["name"] for car in desktop["kubespawner_override"]["extra_containers"]] == ["cave", "idv"]


def test_overrides_have_the_last_word_and_null_takes_a_value_away() -> None:
    over = {"hub": {"concurrentSpawnLimit": 5, "config": {"Authenticator": {"admin_users": ["root"]}}}, "cull": None}
    values = values_of(given(overrides={"values": over}))
    assert at(values, "hub/concurrentSpawnLimit") == 5
    assert at(values, f"{HUB}/Authenticator/admin_users") == ["root"], "lists are replaced as a whole"
    assert at(values, f"{HUB}/Authenticator/allowed_users") == ["s01", "s02"]
    assert "cull" not in values


def test_merging_changes_neither_side() -> None:
    below, over = {"a": {"b": 1}}, {"a": {"c": 2}}
    assert merged(below, over) == {"a": {"b": 1, "c": 2}}
    assert (below, over) == ({"a": {"b": 1}}, {"a": {"c": 2}})


def test_no_two_rows_write_the_same_value() -> None:
    paths = ["/".join(row.path) for row in ROWS]
    assert len(paths) == len(set(paths))
    assert not [(one, other) for one in paths for other in paths if other.startswith(f"{one}/")]


def test_values_are_json_and_say_nothing_secret() -> None:
    text = json.dumps(values_of(given(auth=OAUTH)))
    assert "client_secret" not in text
    assert "password" not in text


def test_where_no_branch_is_named_the_repositorys_own_is_asked_for() -> None:
    """The hook is a shell's: what it would run is looked at, with words in place of both programs."""
    command = at(values_of(given(content=[{"git": "https://e.edu/a'b.git", "dir": "c"}])), f"{SEAT}/lifecycleHooks")
    script = command["postStart"]["exec"]["command"][2]
    words = "git() { printf 'ref: refs/heads/trunk\\tHEAD\\n1234\\tHEAD\\n'; }; gitpuller() { printf '<%s>' \"$@\"; };"
    done = subprocess.run(["sh", "-c", f"{words}\n{script}"], capture_output=True, text=True, check=True)
    assert done.stdout == "<https://e.edu/a'b.git><trunk><c>"


def test_homes_that_a_restore_made_are_in_claims_of_another_name() -> None:
    restored = Given(classroom("atm101"), "atm101-7k2x9q", homes=2)
    assert at(values_of(restored), f"{HOMES}/dynamic/pvcNameTemplate") == "claim2-{user_server}"
