"""What every CopiesDriver promises, between two real clusters: the suite of tests/contract, with another bench.

Students' files are written where the nodes have the volumes; everything else is done by pods.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agents.drivers.base import SiteDrivers
from agents.drivers.kubernetes.home_claims import HomeClaims
from agents.drivers.kubernetes.homes_mark import MarkText
from agents.drivers.kubernetes.marks import HOMES
from agents.site_drivers import site_drivers
from federation.core.claim_names import claim_of
from federation.core.home_names import slug
from federation.model.site_file import SiteFile
from federation.runtime.clock import SystemClock
from tests.contract import test_copies_driver as contract
from tests.e2e.kubernetes.conftest import Sites
from tests.support.copies_bench import HUB, SECRET, CopiesBench, Files, restic_or_skip
from tests.support.federation import until
from tests.support.quick_restic import quick_restic
from tests.testbed import binaries, credentials, homes_image, hub_chart
from tests.testbed.api import Api, Object, Refused
from tests.testbed.binaries import BUILT_S
from tests.testbed.provisioner import CHOSEN

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough, pytest.mark.asyncio(loop_scope="module")]

USERS = {slug(user): user for user in ("Ada@Example",)}  # whose safe name is a hash


@dataclass
class KubernetesCopiesBench(CopiesBench):
    """Agents of both sites on the host of the first: it reaches both API servers."""

    sites: Sites
    root: Path
    _drivers: dict[str, SiteDrivers] = field(default_factory=dict)
    _left: list[SiteDrivers] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "store").mkdir(mode=0o700)
        self._drivers = {name: self.anew(name) for name in ("iu", "tacc")}

    def drivers(self, site: str) -> SiteDrivers:
        return self._drivers[site]

    def anew(self, site: str) -> SiteDrivers:
        control = (self.sites.iu if site == "iu" else self.sites.tacc).control
        cluster = {
            "kubeconfig": str(control.files.kubeconfig(credentials.ADMIN)),
            "charts": str(hub_chart.chart().parent),
            "values": hub_chart.values_here(),
            "image": homes_image.NAME,
        }
        spec = {"kind": "kubernetes", "cluster": cluster, "copies": {"store": str(self.root / "store")}}
        body = {"apiVersion": "hubfed/v1", "kind": "Site", "metadata": {"name": site}, "spec": spec}
        folder = self.root / site
        folder.mkdir(exist_ok=True)
        made = site_drivers(SiteFile.model_validate(body), folder, folder, folder, SystemClock())
        self._left.append(made)
        return made

    def write(self, site: str, files: Files, hub: str = HUB) -> None:
        api = self._api(site)
        for name, content in files.items():
            home, _, below = name.partition("/")
            path = self._volume(api, hub, home) / below
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def read(self, site: str, hub: str = HUB) -> Files:
        api, found = self._api(site), Files()
        for home, claim in self._homes(api, hub).items():
            volume = _folder(api, hub, claim)
            if volume is not None:
                files = (path for path in volume.rglob("*") if path.is_file() and not path.is_symlink())
                found |= {f"{home}/{path.relative_to(volume)}": path.read_bytes() for path in files}
        return found

    def damage(self, site: str, hub: str = HUB) -> None:
        for index in (self.root / "store" / site / hub / "index").iterdir():
            index.chmod(0o600)
            index.write_bytes(b"not what it was" * 20)

    def unmount(self) -> None:
        shutil.rmtree(self.root / "store")

    async def close(self) -> None:
        for drivers in self._drivers.values():
            await drivers.homes.delete(HUB)
        for drivers in self._left:
            await drivers.hubs.close()
            await drivers.edge.close()

    def _api(self, site: str) -> Api:
        return (self.sites.iu if site == "iu" else self.sites.tacc).api

    def _mark(self, api: Api, hub: str) -> MarkText:
        try:
            notes = api.get(f"/api/v1/namespaces/{hub}")["metadata"].get("annotations") or {}
        except Refused as error:
            if error.status != 404:
                raise
            return MarkText()
        return MarkText.of(hub, notes.get(HOMES, ""))

    def _homes(self, api: Api, hub: str) -> dict[str, str]:
        """Home -> claim."""
        mark = self._mark(api, hub)
        if mark.epoch is None:
            return {}
        return dict(HomeClaims.of(api.items(_claims(hub)), mark.generation).claims)

    def _volume(self, api: Api, hub: str, home: str) -> Path:
        """Where the node has the student's home; the spawner would have made its claim when they first came."""
        claim = self._homes(api, hub).get(home)
        if claim is None:
            user = USERS.get(home, home)
            claim = claim_of(user, self._mark(api, hub).generation)
            api.create(_claims(hub), spawners_claim(claim, user, api.items("/api/v1/nodes")[0]["metadata"]["name"]))
        until(lambda: _folder(api, hub, claim) is not None, f"{claim} is bound", 60)
        folder = _folder(api, hub, claim)
        assert folder is not None
        return folder


def spawners_claim(name: str, user: str, node: str) -> Object:
    """As KubeSpawner makes it, and as if a pod had been placed on the node."""
    labels = {"component": "singleuser-storage", "app.kubernetes.io/managed-by": "kubespawner"}
    notes = {"hub.jupyter.org/username": user, CHOSEN: node}
    spec: dict[str, Any] = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": name, "labels": labels, "annotations": notes}, "spec": spec}


def _claims(hub: str) -> str:
    return f"/api/v1/namespaces/{hub}/persistentvolumeclaims"


def _folder(api: Api, hub: str, claim: str) -> Path | None:
    """None: it has no volume yet."""
    found = api.get(f"{_claims(hub)}/{claim}")
    if found["status"].get("phase") != "Bound":
        return None
    volume = api.get(f"/api/v1/persistentvolumes/{found['spec']['volumeName']}")
    return Path(volume["spec"]["local"]["path"])


@pytest.fixture(scope="module")
def images(sites: Sites) -> None:
    binaries.helm()
    for cluster in (sites.iu, sites.tacc):
        assert cluster.node is not None
        cluster.node.add_images([homes_image.homes()])


@pytest_asyncio.fixture(loop_scope="module")
async def bench(sites: Sites, images: None) -> AsyncIterator[KubernetesCopiesBench]:
    root = Path(tempfile.mkdtemp(prefix="hubfed-test-"))
    root.chmod(0o711)
    try:
        with quick_restic(await restic_or_skip(), SECRET), sites.net.inside("iu"):
            made = KubernetesCopiesBench(sites, root)
            try:
                yield made
            finally:
                await made.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest_asyncio.fixture(loop_scope="module")
async def near(bench: KubernetesCopiesBench) -> KubernetesCopiesBench:
    return bench


test_over = contract.test_a_copy_made_at_one_site_is_restored_at_the_other_with_every_file
test_says = contract.test_a_copy_says_what_is_in_it_and_which_homes_changed_since_the_last
test_listed = contract.test_copies_are_listed_with_epoch_run_and_size_by_either_site
test_never_saved = contract.test_a_site_that_never_saved_has_no_copies
test_named = contract.test_a_restore_takes_the_copy_that_is_named_not_the_latest
test_same_again = contract.test_the_same_restore_again_leaves_what_was_written_since
test_kept = contract.test_the_tree_that_was_there_is_kept_aside_and_reported
test_newer_epoch = contract.test_homes_of_a_newer_epoch_are_never_replaced_or_saved_as_older
test_not_yet = contract.test_a_tree_is_not_saved_under_an_epoch_that_does_not_own_it_yet
test_reasons = contract.test_each_reason_why_a_copy_cannot_be_restored_is_a_sentence_of_its_own
test_due = contract.test_no_hub_starts_in_other_homes_while_its_restore_is_due_until_that_is_given_up
test_gone = contract.test_a_store_that_is_gone_is_an_error_and_never_made_anew
test_both = contract.test_both_sites_write_their_own_repository_of_the_same_hub
test_aside = contract.test_one_students_files_come_back_into_a_side_folder_beside_what_they_have
test_no_home = contract.test_a_home_that_is_not_in_the_copy_cannot_come_back
test_unsent = contract.test_work_that_was_never_sent_comes_to_its_students_beside_what_they_have_now
test_nothing_unsent = contract.test_where_nothing_is_unsent_that_is_said_and_nothing_can_be_put_anywhere
test_marked = contract.test_a_copy_of_unsent_work_is_marked_as_that_and_leaves_the_tree_as_it_was
test_not_again = contract.test_work_that_was_put_into_homes_is_not_put_there_again
test_unknown = contract.test_a_home_whose_student_only_the_lost_site_knew_waits_for_them
test_put_aside = contract.test_a_tree_that_a_later_restore_put_aside_still_has_its_unsent_work
test_before_first = contract.test_a_site_lost_before_its_first_copy_is_compared_with_what_it_had_restored
test_no_tree = contract.test_of_an_epoch_whose_tree_is_not_there_nothing_can_be_saved
test_not_under_hub = contract.test_unsent_work_is_not_looked_for_under_a_hub_that_runs
test_not_replaced = contract.test_nothing_is_replaced_while_anything_of_the_hub_runs
test_can = contract.test_a_site_says_what_it_can


async def test_nothing_of_a_pod_is_left_and_its_order_neither(near: KubernetesCopiesBench) -> None:
    await contract.working(near)
    await contract.saved(near)
    api = near.sites.iu.api
    until(lambda: api.items(f"/api/v1/namespaces/{HUB}/pods") == [], "its pod is gone", 30)
    secrets = api.items(f"/api/v1/namespaces/{HUB}/secrets")
    assert SECRET not in json.dumps(secrets)
    assert secrets == []


async def test_what_a_killed_agent_left_is_cleared_away_before_the_next_call(near: KubernetesCopiesBench) -> None:
    await contract.working(near)
    api, labels = near.sites.iu.api, {"hubfed.io/copies": "save"}
    container = {"name": "homes", "image": homes_image.NAME, "command": ["/bin/sleep", "1000"]}
    until(lambda: _has_account(api), "the namespace has an account", 30)
    api.create(
        f"/api/v1/namespaces/{HUB}/pods",
        {"metadata": {"name": "homes-save-left", "labels": labels}, "spec": {"containers": [container]}},
    )
    api.create(f"/api/v1/namespaces/{HUB}/secrets", {"metadata": {"name": "homes-save-left", "labels": labels}})
    assert (await near.drivers("iu").hubs.observe(HUB)).processes == 0, "it is no part of the hub"
    await contract.saved(near)
    assert "homes-save-left" not in {pod["metadata"]["name"] for pod in api.items(f"/api/v1/namespaces/{HUB}/pods")}
    assert api.items(f"/api/v1/namespaces/{HUB}/secrets") == []


def _has_account(api: Api) -> bool:
    try:
        api.get(f"/api/v1/namespaces/{HUB}/serviceaccounts/default")
    except Refused:
        return False
    return True
