"""Files of an admin: what is right loads as it was meant, and what is wrong gives findings, never anything else.

Valid documents are generated, written as YAML in different styles, and read back. Mistakes are made in the tree of a
valid document, or in its text; each must be told with a place that is in the file, and all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from yaml import nodes

from federation.model.classroom import ClassroomFile
from federation.model.files.finding import Checked, Finding
from federation.model.files.load import read_classrooms, read_federation, read_site
from tests.property.test_bridge import specs
from tests.support.files import LEAST

quick = settings(deadline=None, max_examples=40)
FILE = "a.yaml"
FREE = {"labels", "options", "values", "profiles_env"}  # below these an admin may write any key
LINE_ENDS = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # what YAML counts as the end of a line
NUMBER_LIKE = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
Place = tuple[str, ...]
Pair = tuple[nodes.Node, nodes.Node]

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x85"), min_size=1, max_size=20)
texts = words | st.sampled_from(
    ["no", "1e3", "4.10", "~", "null", "- a", "a: b", "# c", "*x", "2026-09-01", "14:30", " "]
)

label_keys = st.from_regex(r"[a-z0-9]([a-z0-9._/-]{0,10}[a-z0-9])?", fullmatch=True) | st.sampled_from(
    ["no", "1e3", "4.10"]
)

free_values = st.dictionaries(
    st.sampled_from(["a", "b c", "é", "1", "null", "proxy"]),
    st.recursive(
        st.none() | st.booleans() | st.integers(1 - 2**53, 2**53 - 1) | st.floats(1 - 2**53, 2**53 - 1) | texts,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["x", "0", "- y"]), inner),
        max_leaves=6,
    ),
    max_size=3,
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A valid document as plain data, with difficult words wherever any text may stand."""
    spec: dict[str, Any] = draw(specs)
    spec["contacts"] = {"instructor": draw(texts), "support": draw(texts)}
    spec["auth"] = {**spec["auth"], "options": draw(free_values)}
    spec["overrides"] = {"values": draw(free_values)}
    spec["post_start"] = draw(st.lists(texts, max_size=2))
    labels = draw(st.dictionaries(label_keys, texts, max_size=2))
    name = draw(st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True))
    spec["dns"] = {"host": f"{name}.hubs.example.edu", "aliases": [f"{name}-iu.example.edu"]}
    return {
        "apiVersion": "hubfed/v1",
        "kind": "Classroom",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }


styles = st.fixed_dictionaries(
    {
        "default_flow_style": st.sampled_from([True, False, None]),
        "allow_unicode": st.booleans(),
        "sort_keys": st.booleans(),
        "width": st.sampled_from([20, 80, 10_000]),
        "explicit_start": st.booleans(),
        "line_break": st.sampled_from(["\n", "\r\n"]),
    }
)


class Writer(yaml.SafeDumper):
    """Writes YAML 1.2: PyYAML alone would leave the text `0e1` without quotes, which is a number there."""


Writer.add_implicit_resolver("tag:yaml.org,2002:float", NUMBER_LIKE, list("-+.0123456789"))


def written(document: Any, **style: Any) -> str:
    return str(yaml.dump(document, Dumper=Writer, **style))


def composed(document: Any) -> nodes.Node:
    """The tree of the document's text, in which mistakes are made."""
    root = yaml.compose(written(document), Loader=yaml.SafeLoader)
    assert root is not None
    return root


def serialized(root: nodes.Node) -> str:
    return str(yaml.serialize(root, Dumper=Writer))


def read(content: str | bytes) -> Checked[Any]:
    return read_classrooms([(FILE, content.encode() if isinstance(content, str) else content)])


def assert_located(findings: tuple[Finding, ...], content: str) -> None:
    """Each finding says what is wrong, what is allowed and an example, at a place that is in the file."""
    lines = LINE_ENDS.split(content)
    for finding in findings:
        assert finding.file == FILE
        assert finding.wrong
        assert finding.allowed
        assert finding.example
        assert 1 <= finding.line <= len(lines), finding
        assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1, finding


@quick
@given(documents(), styles)
def test_a_valid_document_loads_as_it_was_meant_in_every_style_of_yaml(
    document: dict[str, Any], style: dict[str, Any]
) -> None:
    checked = read(written(document, **style))
    assert checked.findings == ()
    assert checked.values == (ClassroomFile.model_validate(document).classroom(),)


@quick
@given(st.lists(documents(), min_size=2, max_size=3, unique_by=lambda document: document["metadata"]["name"]))
def test_documents_of_one_file_are_read_as_if_each_had_its_own(together: list[dict[str, Any]]) -> None:
    assert read("---\n".join(written(document) for document in together)).values == tuple(
        read(written(document)).values[0] for document in together
    )


def pairs_of(node: nodes.Node, place: Place = ()) -> Iterator[tuple[list[Pair], int, Place]]:
    """Every `key: value` whose key the format knows: the list that it is in, its number there, and its place."""
    if isinstance(node, nodes.SequenceNode):
        for index, inner in enumerate(node.value):
            yield from pairs_of(inner, (*place, str(index)))
    if isinstance(node, nodes.MappingNode):
        for index, (key, value) in enumerate(node.value):
            here = (*place, key.value)
            yield node.value, index, here
            if key.value not in FREE:
                yield from pairs_of(value, here)


def scalar(text: str) -> nodes.ScalarNode:
    return nodes.ScalarNode("tag:yaml.org,2002:str", text)


def misspelt(pairs: list[Pair], index: int) -> None:
    key, value = pairs[index]
    pairs[index] = (scalar(f"{key.value}_x"), value)


def given_twice(pairs: list[Pair], index: int) -> None:
    pairs.append(pairs[index])


def of_another_type(pairs: list[Pair], index: int) -> None:
    """A mapping where a single value stands, a single value where a mapping or a list does."""
    key, value = pairs[index]
    single = isinstance(value, nodes.ScalarNode)
    mapping = nodes.MappingNode("tag:yaml.org,2002:map", [(scalar("what"), scalar("ever"))])
    pairs[index] = (key, mapping if single else scalar("seven"))


def left_out(pairs: list[Pair], index: int) -> None:
    del pairs[index]


SURE_MISTAKES = (misspelt, given_twice, of_another_type)


@st.composite
def with_mistakes(draw: st.DrawFn, count: int) -> tuple[str, tuple[Place, ...]]:
    """The text of a valid document in which `count` things were made wrong, and their places."""
    root = composed(draw(documents()))
    made: list[tuple[list[Pair], int, Place]] = []
    for _ in range(count):
        apart = [
            spot for spot in pairs_of(root)
            if not any(spot[2][: len(other)] == other or other[: len(spot[2])] == spot[2] for _, _, other in made)
        ]  # fmt: skip
        made.append(draw(st.sampled_from(apart)))
    for pairs, index, _place in made:  # each keeps the numbers of the others
        draw(st.sampled_from(SURE_MISTAKES))(pairs, index)
    return serialized(root), tuple(place for _, _, place in made)


@quick
@given(with_mistakes(1))
def test_a_mistake_is_found_and_located_and_nothing_is_loaded(made: tuple[str, tuple[Place, ...]]) -> None:
    content, _places = made
    checked = read(content)
    assert checked.documents == ()
    assert checked.findings
    assert_located(checked.findings, content)


@quick
@given(with_mistakes(2))
def test_two_mistakes_are_told_at_once(made: tuple[str, tuple[Place, ...]]) -> None:
    content, places = made
    findings = read(content).findings
    assert len(findings) >= 2, f"of {places} only {[str(finding) for finding in findings]}"
    assert len(set(findings)) == len(findings), "each is told once"
    assert_located(findings, content)


@quick
@given(documents(), st.data())
def test_what_is_left_out_is_either_optional_or_missed_by_name(document: dict[str, Any], data: st.DataObject) -> None:
    root = composed(document)
    pairs, index, place = data.draw(st.sampled_from(list(pairs_of(root))))
    left_out(pairs, index)
    content = serialized(root)
    checked = read(content)
    assert bool(checked.documents) != bool(checked.findings)
    assert_located(checked.findings, content)
    for finding in checked.findings:
        if finding.wrong.endswith(" is missing"):
            assert finding.wrong == f"{place[-1]} is missing"


@quick
@given(documents(), st.data())
def test_a_control_character_is_found_where_it_stands(document: dict[str, Any], data: st.DataObject) -> None:
    content = written(document)
    at = data.draw(st.integers(0, len(content)))
    control = data.draw(st.sampled_from("\0\x01\x07\x1b\x7f\x80"))
    checked = read(content[:at] + control + content[at:])
    (finding,) = checked.findings
    before = content[:at].split("\n")
    assert (finding.line, finding.column) == (len(before), len(before[-1]) + 1)
    assert checked.documents == ()


@quick
@given(
    documents(),
    st.sampled_from(["\t", "\x85", "\u2028", "\ufeff", "\r", ":", "-", "#", "'", '"', "&a ", "*a ", "!", "%", "|"]),
    st.data(),
)
def test_a_character_too_many_loads_or_is_explained(document: dict[str, Any], more: str, data: st.DataObject) -> None:
    content = written(document)
    at = data.draw(st.integers(0, len(content)))
    content = content[:at] + more + content[at:]
    checked = read(content)
    assert bool(checked.documents) != bool(checked.findings)
    assert_located(checked.findings, content)


@quick
@given(st.data())
def test_a_line_cut_off_or_moved_loads_or_is_explained(data: st.DataObject) -> None:
    lines = written(data.draw(documents())).splitlines(keepends=True)
    index = data.draw(st.integers(0, len(lines) - 1))
    cut = data.draw(st.integers(0, len(lines[index])))
    lines[index] = data.draw(st.sampled_from([lines[index][:cut], " " + lines[index], lines[index].lstrip()]))
    content = "".join(lines)
    checked = read(content)
    assert bool(checked.documents) != bool(checked.findings)
    assert_located(checked.findings, content)


PIECES = [
    "a", "spec", "kind: Classroom", "apiVersion: hubfed/v1", "metadata", "{", "}", "[", "]", ": ", ",", "- ", "? ",
    "\n", "\n  ", "\n    ", "\t", "'", '"', "\\x41", "\\n", "|", ">", "#", "---\n", "...\n", "&a ", "*a", "<<: ",
    "!!str ", "!x ", "%YAML 1.1\n", "%TAG ! x\n", "1", "-0", ".5", "1e999", "0x1F", "true", "null", "~", "2026-09-01",
    "\u2028", "\x85", "é", "\r",
]  # fmt: skip
readers = st.sampled_from([read_site, read_federation, lambda file, content: read_classrooms([(file, content)])])


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), readers)
@example("spec: {roster: {users_file: a}}", read_site)
@example("metadata: [name]\nspec: [roster]", read_federation)
def test_any_yaml_is_read_or_explained(content: str, reader: Any) -> None:
    checked = reader(FILE, content.encode())
    assert checked.findings, "no such file is a whole document"
    assert_located(checked.findings, content)


yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words | st.sampled_from(sorted(FREE)), inner, max_size=3)
    ),
    max_leaves=6,
)


@quick
@given(st.data())
def test_any_value_in_any_place_is_read_or_explained(data: st.DataObject) -> None:
    root = composed(data.draw(documents()))
    pairs, index, _place = data.draw(st.sampled_from(list(pairs_of(root))))
    value = composed(data.draw(yaml_values))
    pairs[index] = (pairs[index][0], value)
    content = serialized(root)
    checked = read(content)
    assert bool(checked.documents) != bool(checked.findings)
    assert_located(checked.findings, content)


@quick
@given(st.binary(max_size=60), readers)
def test_any_bytes_are_read_or_explained(content: bytes, reader: Any) -> None:
    assert reader(FILE, content).findings


@pytest.mark.parametrize(
    "content",
    [r'a: "\U00110000"', r'a: "\UFFFFFFFF"', f"%YAML 1.{'9' * 5000}\n---\na: 1\n"],
    ids=["no-such-character", "no-such-number", "version-of-5000-digits"],
)
def test_hostile_escapes_and_directives_are_explained(content: str) -> None:
    assert_located(read(content).findings, content)


@pytest.mark.parametrize("key", [r"a\nb", r"a\eb", r"a\ud800"], ids=["line-end", "escape", "half-a-character"])
def test_a_finding_is_one_line_that_can_be_shown(key: str) -> None:
    (finding,) = read(f'{LEAST}  "{key}": 1\n').findings
    assert str(finding).isprintable()


@pytest.mark.parametrize(
    "value", ['"\\ud800"', "1e999", "1234567890123456789"], ids=["half-a-character", "infinite", "rounded"]
)
def test_a_free_value_that_no_document_can_hold_is_refused(value: str) -> None:
    """Half a character cannot be written as UTF-8, infinity not as JSON, and such a number not exactly."""
    assert read(f"{LEAST}  overrides: {{values: {{a: {value}}}}}\n").findings
