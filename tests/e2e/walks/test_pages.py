"""Every shell block of the README and the tutorial does what the page says, typed in order into one shell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.etcd import safe_etcd
from tests.support.federation import FEDCTL, ROOT, marked

pytestmark = pytest.mark.timeout(300)
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
TESTED_ELSEWHERE = {"make demo", "make test"}  # test_demo.py, and whatever runs this


def lines(page: str) -> list[str]:
    typed = "".join(BLOCK.findall((ROOT / page).read_text())).splitlines()
    return [line for line in typed if line.split("#")[0].strip() not in TESTED_ELSEWHERE]


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/first-federation.md"])
def test_a_page_can_be_typed_in(page: str) -> None:
    safe_etcd()
    folder = Path(tempfile.mkdtemp(prefix="hubfed-page-"))
    folder.chmod(0o711)
    state = folder / "state"
    env = {**os.environ, "XDG_STATE_HOME": str(state), "XDG_CONFIG_HOME": str(folder / "config")}
    script = "\n".join(["set -e", *lines(page)])
    try:
        done = subprocess.run(["bash", "-c", script], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        assert "Serving" in done.stdout
        federation = state / "hubfed/local"
        assert marked(str(federation.resolve())) == [], "the page ends with everything stopped"
    finally:
        subprocess.run([FEDCTL, "down"], env=env, capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def test_pages_have_something_to_type() -> None:
    assert sum("fedctl" in line for line in lines("README.md")) >= 5
    assert sum("fedctl" in line for line in lines("docs/tutorial/first-federation.md")) >= 10
