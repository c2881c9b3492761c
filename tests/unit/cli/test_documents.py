"""What `fedctl get -o yaml` prints is a classroom file: edited and placed again, it is read as it was meant."""

from pathlib import Path

import pytest

from federation.api.v1 import types_pb2
from federation.api.v1.classroom_pb2 import ClassroomSpec
from federation.cli.documents import hub_document
from federation.cli.yaml_output import yaml_text
from federation.model.files.load import read_classrooms
from federation.model.files.yaml_tree import read_trees
from federation.runtime.bridge import to_message

FILES = sorted((Path(__file__).parents[3] / "configs/classrooms").glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_document_that_was_got_can_be_placed_again(path: Path) -> None:
    placed = read_classrooms([(str(path), path.read_bytes())], lambda beside: Path(beside).read_bytes())
    assert placed.values
    for wanted in placed.values:
        metadata = types_pb2.Metadata(
            name=wanted.name,
            uid=f"{wanted.name}-abc123",
            generation=4,
            revision=77,
            labels=dict(wanted.labels),
            created="2026-09-01T00:00:00Z",
            actor="user/ann",
        )
        hub = types_pb2.Hub(metadata=metadata, spec=to_message(wanted.spec, ClassroomSpec))
        text = yaml_text(hub_document(hub))
        got = read_classrooms([("got.yaml", text.encode())])
        assert got.findings == ()
        assert got.values == (wanted,)
        assert got.documents[0].generation == 4


@pytest.mark.parametrize("text", ["1234e56", "0x1F", "true", "yes", "", "a\x85b", "two\nlines", "07:30", "~", "1_000"])
def test_text_stays_text(text: str) -> None:
    (tree,), findings = read_trees("a.yaml", yaml_text({"tag": text}).encode())
    assert findings == ()
    assert tree.data == {"tag": text}
