"""A chart on the disk: a folder, or an archive as it is downloaded."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from agents.drivers.kubernetes.charts import Chart
from federation.model.errors import InvalidRequest

ABOUT = "apiVersion: v2\nname: jupyterhub\nversion: 4.4.0\nappVersion: '5.5.0'\n"


def chart(folder: Path) -> Path:
    made = folder / "jupyterhub"
    made.mkdir(parents=True)
    (made / "Chart.yaml").write_text(ABOUT)
    (made / "values.yaml").write_text("hub: {image: {tag: '1'}}\n")
    return made


def archive(folder: Path, of: Path, version: str = "4.4.0") -> Path:
    folder.mkdir(exist_ok=True)
    made = folder / f"jupyterhub-{version}.tgz"
    with tarfile.open(made, "w:gz") as tar:
        tar.add(of, "jupyterhub")
    return made


def test_a_folder_and_an_archive_of_it_are_the_same_chart(tmp_path: Path) -> None:
    unpacked = chart(tmp_path / "here")
    packed = archive(tmp_path / "there", unpacked)
    assert Chart.find(tmp_path / "here", "jupyterhub") == Chart(unpacked, "jupyterhub", "4.4.0", "5.5.0")
    assert Chart.find(tmp_path / "there", "jupyterhub") == Chart(packed, "jupyterhub", "4.4.0", "5.5.0")


@pytest.mark.parametrize("below", ["agents/charts", "charts"])
def test_our_own_are_where_a_wheel_has_them_or_a_checkout(tmp_path: Path, below: str) -> None:
    places = (tmp_path / "agents/charts", tmp_path / "charts")
    with pytest.raises(InvalidRequest, match="the chart jupyterhub of this program is not in"):
        Chart.own("jupyterhub", places)
    made = chart(tmp_path / below)
    assert Chart.own("jupyterhub", places).path == made


def test_which_of_two_archives_is_meant_is_not_guessed(tmp_path: Path) -> None:
    unpacked = chart(tmp_path / "here")
    for version in ("4.3.5", "4.4.0"):
        archive(tmp_path / "there", unpacked, version)
    with pytest.raises(InvalidRequest, match="as 2 archives"):
        Chart.find(tmp_path / "there", "jupyterhub")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=f"the chart jupyterhub is not there in {tmp_path}"):
        Chart.find(tmp_path, "jupyterhub")


@pytest.mark.parametrize("text", ["", "name: jupyterhub\n", "- a\n", "a: [\n"])
def test_what_is_no_chart_is_named(tmp_path: Path, text: str) -> None:
    made = chart(tmp_path)
    (made / "Chart.yaml").write_text(text)
    with pytest.raises(InvalidRequest, match="is no chart"):
        Chart.find(tmp_path, "jupyterhub")


def test_its_defaults_are_read_from_folder_and_archive(tmp_path: Path) -> None:
    unpacked = chart(tmp_path / "here")
    packed = archive(tmp_path / "there", unpacked)
    for path in (unpacked, packed):
        assert Chart.read(path).values() == {"hub": {"image": {"tag": "1"}}}


def test_a_chart_without_defaults_is_named(tmp_path: Path) -> None:
    made = chart(tmp_path / "here")
    (made / "values.yaml").unlink()
    packed = archive(tmp_path / "there", made)
    for path in (made, packed):
        with pytest.raises(InvalidRequest, match="has no values"):
            Chart.read(path).values()
