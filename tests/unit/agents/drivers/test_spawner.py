"""Which process a student's server is, when the hub's database has come from somewhere else."""

from types import SimpleNamespace

import pytest

from agents.drivers.local.spawner import StudentSpawner


@pytest.mark.parametrize(("site", "known"), [("tacc", True), ("iu", False), (None, False)])
def test_a_server_that_was_started_at_another_site_is_none_of_this_hub(
    site: str | None, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sites of a laptop see one process table: the frozen site's server would be taken for a living one."""
    here = SimpleNamespace(place=SimpleNamespace(site="tacc"))
    monkeypatch.setattr(StudentSpawner, "_file", staticmethod(lambda: here))
    spawner = StudentSpawner()
    spawner.load_state({"pid": 12345, "started": 7, **({"site": site} if site else {})})
    assert ("pid" in spawner.get_state()) is known
