"""Helm releases at a real API server: what becomes of them when all goes well, when the cluster refuses, and when a Helm is
killed at work. No pods run, so a hook that is a job never ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import structlog

from agents.drivers.kubernetes.helm_words import HelmFailed, Trouble
from agents.drivers.kubernetes.releases import Release, Releases, Status
from tests.e2e.kubernetes.conftest import new_namespace
from tests.e2e.kubernetes.test_api_only import account_that_reads_settings
from tests.support.federation import until
from tests.support.helm import REFUSED, TINY, HelmSite, claim, endless, setting
from tests.testbed.binaries import BUILT_S
from tests.testbed.cluster import Cluster

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]

LIMIT_S = 120.0
SECRET = "correct-horse-battery-staple-42"


@pytest_asyncio.fixture
async def site(api_only: Cluster, tmp_path: Path) -> AsyncIterator[HelmSite]:
    """Afterwards no Helm runs."""
    here = HelmSite.of(api_only, new_namespace(api_only.api), tmp_path)
    yield here
    await here.api.close()
    assert here.running() == []


@pytest.fixture
def releases(site: HelmSite) -> Releases:
    return site.another()


async def apply(releases: Releases, site: HelmSite, limit_s: float = LIMIT_S, **values: Any) -> Release:
    return await releases.apply(site.namespace, "tiny", TINY, values, description="of a test", limit_s=limit_s)


async def hanging(releases: Releases, site: HelmSite, hook: str, status: str, **values: Any) -> asyncio.Task[Release]:
    """An apply whose Helm waits for a hook."""
    task = asyncio.ensure_future(apply(releases, site, more=[endless(hook), *values.pop("more", [])], **values))
    await asyncio.to_thread(site.wait_for_hook, hook)
    assert site.statuses("tiny")[-1] == status
    return task


def kill(site: HelmSite, number: int = signal.SIGKILL) -> None:
    for found in site.running():
        os.kill(found.pid, number)


# --- as it should be


async def test_installed_upgraded_and_the_same_again(releases: Releases, site: HelmSite) -> None:
    assert await releases.get(site.namespace, "tiny") is None
    first = await apply(releases, site, greeting="hello")
    assert first == Release(site.namespace, "tiny", 1, Status.DEPLOYED, "tiny-0.1.0", "of a test")
    assert (await apply(releases, site, greeting="good morning" * 20_000)).revision == 2
    assert site.greeting("tiny") == "good morning" * 20_000
    assert (await apply(releases, site, greeting="good morning" * 20_000)).revision == 3
    found = await releases.get(site.namespace, "tiny")
    assert found is not None
    assert (found.revision, found.status) == (3, Status.DEPLOYED)


async def test_values_of_before_are_forgotten_even_if_there_are_none_now(releases: Releases, site: HelmSite) -> None:
    await apply(releases, site, greeting="good morning")
    await apply(releases, site)
    assert site.greeting("tiny") == "hello"


async def test_one_at_a_time_changes_a_namespace(releases: Releases, site: HelmSite) -> None:
    made = await asyncio.gather(*(apply(releases, site, greeting=word) for word in ("hello", "good morning")))
    assert sorted(release.revision for release in made) == [1, 2]


async def test_removed_twice_and_what_never_was(releases: Releases, site: HelmSite) -> None:
    await apply(releases, site)
    for _again in range(2):
        await releases.remove(site.namespace, "tiny", limit_s=LIMIT_S)
        assert await releases.get(site.namespace, "tiny") is None
    assert site.found("configmaps", "tiny") is None


async def test_a_release_of_somebody_s_own_is_adopted(releases: Releases, site: HelmSite) -> None:
    assert site.by_hand("install", "tiny", TINY, values={"greeting": "by hand"}).wait() == 0
    before = site.claim_id("tiny")
    with structlog.testing.capture_logs() as lines:
        assert (await apply(releases, site, greeting="by the agent")).revision == 2
    assert [line["by"] for line in lines if line["event"] == "release.adopted"] == ["hand"]
    assert (site.greeting("tiny"), site.claim_id("tiny")) == ("by the agent", before)


# --- secrets


async def test_values_are_in_no_argument_no_file_and_no_error(releases: Releases, site: HelmSite) -> None:
    await apply(releases, site)
    task = await hanging(releases, site, "pre-upgrade", "pending-upgrade", password=SECRET)
    [helm] = site.running()
    shown = [Path(f"/proc/{helm.pid}/{what}").read_bytes() for what in ("cmdline", "environ")]
    assert b"--kubeconfig" in shown[0]
    files = [path.read_bytes() for path in site.folder.rglob("*") if path.is_file()]
    assert [what for what in (*shown, *files) if SECRET.encode() in what] == []
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(HelmFailed) as refused:
        await apply(releases, site, password=SECRET + "!")
    assert "password" in str(refused.value)
    assert SECRET not in str(refused.value)


# --- refused


async def test_an_upgrade_that_the_cluster_refuses_is_rolled_back(releases: Releases, site: HelmSite) -> None:
    await apply(releases, site, greeting="hello")
    with pytest.raises(HelmFailed) as failed:
        await apply(releases, site, greeting="good morning", more=[claim("new"), REFUSED])
    assert failed.value.trouble is Trouble.INVALID
    assert "spec.ports[0].port" in str(failed.value)
    assert str(failed.value).endswith("; it was rolled back to revision 1")
    assert site.statuses("tiny") == ["superseded", "failed", "deployed"]
    assert site.greeting("tiny") == "hello"
    site.claim_id("new")  # nobody knows what is in it
    assert (await apply(releases, site, more=[claim("new")])).status is Status.DEPLOYED


async def test_an_install_that_the_cluster_refuses_is_mended_by_the_next(releases: Releases, site: HelmSite) -> None:
    with pytest.raises(HelmFailed, match="Invalid value"):
        await apply(releases, site, more=[REFUSED])
    claimed = site.claim_id("tiny")
    assert (await apply(releases, site)).status is Status.DEPLOYED
    assert site.claim_id("tiny") == claimed


async def test_values_that_the_chart_refuses_change_nothing(releases: Releases, site: HelmSite) -> None:
    await apply(releases, site)
    with pytest.raises(HelmFailed) as failed:
        await apply(releases, site, claim=3, nonsense=1)
    assert failed.value.trouble is Trouble.VALUES
    assert failed.value.delay_s is None
    assert "claim" in str(failed.value)
    assert "nonsense" in str(failed.value)
    with pytest.raises(HelmFailed, match="a greeting is needed") as unrendered:
        await apply(releases, site, greeting="")
    assert unrendered.value.trouble is Trouble.RENDERING
    assert site.statuses("tiny") == ["deployed"]


async def test_what_belongs_to_another_release_is_left_to_it(releases: Releases, site: HelmSite) -> None:
    values = {"more": [setting("shared", of="other")]}
    await releases.apply(site.namespace, "other", TINY, values, description="other", limit_s=LIMIT_S)
    with pytest.raises(HelmFailed, match="belongs to the release other") as failed:
        await apply(releases, site, more=[setting("shared", of="tiny")])
    assert failed.value.trouble is Trouble.FOREIGN
    assert await releases.get(site.namespace, "tiny") is None


async def test_whoever_else_holds_a_field_is_named(releases: Releases, site: HelmSite) -> None:
    if (await releases.version()).startswith("3"):
        pytest.skip("Helm 3 overwrites what others hold")
    await apply(releases, site, greeting="hello")
    kind, body = "application/merge-patch+json", {"data": {"greeting": "mine"}}
    site.cluster.api.call("PATCH", site.path("configmaps", "tiny"), body, kind, fieldManager="the-neighbour")
    with pytest.raises(HelmFailed, match="the-neighbour") as failed:
        await apply(releases, site, greeting="good morning")
    assert failed.value.trouble is Trouble.CONFLICT
    assert ".data.greeting" in str(failed.value)
    assert (await apply(releases, site, greeting="mine")).status is Status.DEPLOYED


async def test_a_quota_is_named(releases: Releases, site: HelmSite) -> None:
    body = {"metadata": {"name": "few-claims"}, "spec": {"hard": {"persistentvolumeclaims": "0"}}}
    site.cluster.api.create(site.path("resourcequotas"), body)
    until(lambda: "status" in (site.found("resourcequotas", "few-claims") or {}), "the quota is in force")
    with pytest.raises(HelmFailed, match="exceeded quota: few-claims") as failed:
        await apply(releases, site)
    assert failed.value.trouble is Trouble.QUOTA


async def test_a_policy_of_the_cluster_is_named(releases: Releases, site: HelmSite) -> None:
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    where = {"matchLabels": {"kubernetes.io/metadata.name": site.namespace}}
    spec = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": where},
        "validations": [{"expression": "object.metadata.name != 'tiny'", "message": "not this one"}],
    }
    name = f"no-tiny-{site.namespace}"
    site.cluster.api.create(f"{policies}ies", {"metadata": {"name": name}, "spec": spec})
    bound = {"policyName": name, "validationActions": ["Deny"]}
    site.cluster.api.create(f"{policies}ybindings", {"metadata": {"name": name}, "spec": bound})
    try:
        await asyncio.to_thread(until, lambda: refuses_tiny(site), "the policy is in force")
        with pytest.raises(HelmFailed, match="not this one") as failed:
            await apply(releases, site)
        assert failed.value.trouble is Trouble.WEBHOOK
    finally:
        site.cluster.api.delete(f"{policies}ybindings/{name}")
        site.cluster.api.delete(f"{policies}ies/{name}")


def refuses_tiny(site: HelmSite) -> bool:
    try:
        site.cluster.api.call("POST", site.path("configmaps"), setting("tiny"), dryRun="All")
    except Exception as error:  # noqa: BLE001 - any refusal
        return "not this one" in str(error)
    return False


async def test_a_namespace_that_is_not_there_is_named(releases: Releases, site: HelmSite) -> None:
    with pytest.raises(HelmFailed, match="the namespace is not there") as failed:
        await releases.apply("nowhere", "tiny", TINY, {}, description="of a test", limit_s=LIMIT_S)
    assert failed.value.trouble is Trouble.NO_NAMESPACE


async def test_who_may_not_is_told_who_that_is(site: HelmSite) -> None:
    reader = account_that_reads_settings(site.cluster, site.namespace)
    with pytest.raises(HelmFailed, match=f"{site.namespace}:reader") as forbidden:
        await releases_as(site, reader.token).get(site.namespace, "tiny")
    assert forbidden.value.trouble is Trouble.FORBIDDEN
    with pytest.raises(HelmFailed, match="look at its kubeconfig") as unknown:
        await releases_as(site, "guessed").get(site.namespace, "tiny")
    assert unknown.value.trouble is Trouble.STRANGER


def releases_as(site: HelmSite, token: str) -> Releases:
    content = json.loads(site.kubeconfig.read_text())
    content["users"][0]["user"]["token"] = token
    other = site.folder / "kubeconfig"
    other.write_text(json.dumps(content))
    return replace(site, kubeconfig=other).another()


# --- killed at work


async def test_a_helm_that_was_killed_in_an_upgrade_is_mended(releases: Releases, site: HelmSite) -> None:
    await apply(releases, site)
    claimed = site.claim_id("tiny")
    task = await hanging(releases, site, "post-upgrade", "pending-upgrade", more=[claim("new")])
    brought = site.claim_id("new")
    kill(site)
    with pytest.raises(HelmFailed, match="killed"):
        await task
    assert site.statuses("tiny") == ["deployed", "pending-upgrade"]
    with structlog.testing.capture_logs() as lines:
        assert (await apply(releases, site, greeting="again", more=[claim("new")])).status is Status.DEPLOYED
    assert [line["revision"] for line in lines if line["event"] == "release.revision_forgotten"] == [2]
    assert site.statuses("tiny") == ["superseded", "deployed"]
    assert (site.greeting("tiny"), site.claim_id("tiny"), site.claim_id("new")) == ("again", claimed, brought)


async def test_a_helm_that_was_killed_in_the_first_install_is_mended(releases: Releases, site: HelmSite) -> None:
    task = await hanging(releases, site, "post-install", "pending-install")
    claimed = site.claim_id("tiny")
    kill(site)
    with pytest.raises(HelmFailed, match="killed"):
        await task
    assert (await apply(releases, site, greeting="again")).revision == 1
    assert (site.greeting("tiny"), site.claim_id("tiny")) == ("again", claimed)


async def test_a_helm_that_was_killed_in_a_removal_is_no_obstacle(releases: Releases, site: HelmSite) -> None:
    await apply(releases, site, more=[endless("post-delete")])
    task = asyncio.ensure_future(releases.remove(site.namespace, "tiny", limit_s=LIMIT_S))
    await asyncio.to_thread(site.wait_for_hook, "post-delete")
    assert site.statuses("tiny") == ["uninstalling"]
    kill(site)
    with pytest.raises(HelmFailed, match="killed"):
        await task
    assert (await apply(releases, site, greeting="again")).revision == 1


async def test_what_an_earlier_agent_left_running_is_ended_first(releases: Releases, site: HelmSite) -> None:
    task = await hanging(releases, site, "post-install", "pending-install")
    claimed = site.claim_id("tiny")
    assert (await apply(site.another(), site)).status is Status.DEPLOYED
    assert site.claim_id("tiny") == claimed
    with pytest.raises(HelmFailed):
        await task


async def test_a_helm_of_somebody_s_own_is_waited_for_until_it_is_taken_for_dead(
    releases: Releases, site: HelmSite
) -> None:
    theirs = site.by_hand("install", "tiny", TINY, values={"more": [endless("post-install")]})
    await asyncio.to_thread(site.wait_for_hook, "post-install")
    with structlog.testing.capture_logs() as lines:
        assert (await apply(releases, site, greeting="ours")).status is Status.DEPLOYED
    events = [line["event"] for line in lines]
    assert events.index("release.busy") < events.index("release.revision_forgotten")
    theirs.kill()
    theirs.wait()


async def test_a_helm_of_somebody_s_own_that_ends_by_itself_is_left_to_end(site: HelmSite) -> None:
    theirs = site.by_hand("install", "tiny", TINY, values={"more": [endless("post-install")]})
    await asyncio.to_thread(site.wait_for_hook, "post-install")
    with structlog.testing.capture_logs() as lines:
        task = asyncio.ensure_future(apply(replace(site, patience_s=LIMIT_S).another(), site))
        await asyncio.to_thread(until, lambda: "release.busy" in [line["event"] for line in lines], "it waits")
        theirs.terminate()
        assert (await task).revision == 2
    assert "release.revision_forgotten" not in [line["event"] for line in lines]
    theirs.wait()


async def test_at_the_limit_it_is_ended_and_its_release_can_be_applied_again(
    releases: Releases, site: HelmSite
) -> None:
    await apply(releases, site)
    with pytest.raises(HelmFailed, match="hook") as waited:
        await apply(releases, site, 10.0, more=[endless("pre-upgrade")])  # Helm's own limit comes first
    assert "rolled back to revision 1" in str(waited.value)
    task = asyncio.ensure_future(apply(releases, site, 4.0, more=[endless("pre-upgrade")]))
    await asyncio.to_thread(until, lambda: site.statuses("tiny")[-1] == "pending-upgrade", "it has begun")
    kill(site, signal.SIGSTOP)
    with pytest.raises(HelmFailed, match="did not end within 4 s") as failed:
        await task
    assert failed.value.trouble is Trouble.SLOW
    assert site.running() == []
    assert (await apply(releases, site)).status is Status.DEPLOYED


async def test_when_nobody_waits_any_more_it_is_asked_to_end_and_says_so(releases: Releases, site: HelmSite) -> None:
    await apply(releases, site)
    task = await hanging(releases, site, "pre-upgrade", "pending-upgrade")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert site.running() == []
    assert site.statuses("tiny") == ["deployed", "failed"]
    assert (await apply(releases, site)).status is Status.DEPLOYED


async def test_a_cluster_that_stands_still_in_the_middle_is_not_waited_for(releases: Releases, site: HelmSite) -> None:
    daemons = site.cluster.daemons
    task = asyncio.ensure_future(apply(releases, site, 8.0, more=[endless("post-install")]))
    await asyncio.to_thread(site.wait_for_hook, "post-install")
    daemons.signal("kube-apiserver", signal.SIGSTOP)
    try:
        with pytest.raises(HelmFailed):
            await task
        assert site.running() == []
    finally:
        daemons.signal("kube-apiserver", signal.SIGCONT)
    site.cluster.control.wait()
    assert (await apply(releases, site)).status is Status.DEPLOYED
