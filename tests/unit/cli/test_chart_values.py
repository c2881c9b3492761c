"""`fedctl check --values`: what a cluster's chart is given, as YAML that Helm reads."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from federation.cli.main import main

ROOT = Path(__file__).resolve().parents[3]


def check(monkeypatch: pytest.MonkeyPatch, *files: object) -> int:
    monkeypatch.setattr(sys, "argv", ["fedctl", "check", "--values", *map(str, files)])
    return main()


def test_every_example_is_printed_as_a_document_of_yaml(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted((ROOT / "configs/classrooms").glob("*.yaml"))
    assert check(monkeypatch, *files) == 0
    said = capsys.readouterr()
    documents = list(yaml.safe_load_all(said.out))
    assert [document["custom"]["hubfed"]["classroom"] for document in documents] == [
        name.removeprefix("# ") for name in said.out.splitlines() if name.startswith("# ")
    ]
    assert len(documents) >= len(files)
    assert said.err == ""


def test_a_file_with_an_error_is_no_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text("apiVersion: hubfed/v1\nkind: Classroom\nmetadata: {name: x}\nspec: {}\n")
    assert check(monkeypatch, file) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "wrong.yaml:4" in said.err
