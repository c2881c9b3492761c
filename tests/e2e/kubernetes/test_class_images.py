"""Images of a class, made without docker, run as pods: hub, student's server and proxy."""

from __future__ import annotations

import re

import pytest

from tests.e2e.kubernetes.conftest import Sites, new_namespace
from tests.testbed import jupyter_images, pods
from tests.testbed.binaries import BUILT_S
from tests.testbed.pods import pod

pytestmark = [pytest.mark.timeout(BUILT_S), pytest.mark.thorough]


def pinned(lock: str, package: str) -> str:
    found = re.search(rf"^{package}==(\S+)", (jupyter_images.LOCKS / lock).read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_they_have_what_their_locks_name_and_their_users_can_run_it(sites: Sites) -> None:
    assert sites.iu.node is not None
    sites.iu.node.add_images(jupyter_images.jupyter())
    namespace = new_namespace(sites.iu.api)
    kubespawner = "python3.11 -c 'import kubespawner, pycurl; print(kubespawner.__version__)'"
    hub = f"id -u; jupyterhub --version; {kubespawner}; touch /srv/jupyterhub/database"
    said = run(sites, namespace, jupyter_images.HUB, "hub", hub)
    assert said == ["1000", pinned("hub.txt", "jupyterhub"), pinned("hub.txt", "jupyterhub-kubespawner")]
    user = "id -un; jupyterhub-singleuser --version; jupyter lab --version; touch ~/notes"
    said = run(sites, namespace, jupyter_images.USER, "user", user)
    assert said == ["jovyan", pinned("user.txt", "jupyterhub"), pinned("user.txt", "jupyterlab")]
    said = run(sites, namespace, jupyter_images.PROXY, "proxy", "configurable-http-proxy --version")
    assert said == ["5.3.0"]


def run(sites: Sites, namespace: str, image: str, name: str, script: str) -> list[str]:
    """As the user whom the image names."""
    container = {"container": {"image": image, "command": ["sh", "-ec", script]}}
    return pods.run(sites.iu.api, namespace, pod(name, "", **container)).splitlines()
