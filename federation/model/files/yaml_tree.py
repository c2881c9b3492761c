"""YAML to plain data with the position of every key and value. Hardened: it reads files of strangers.

YAML 1.2's core words only: `no` and `14:30` are text, `true` and `false` are the only booleans. Duplicate keys, tags,
deep nesting, large files and alias bombs are refused. Builds nothing but dict, list, str, int, float, bool and None.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml import nodes

from federation.model.files.finding import Finding, Position, finding_at
from federation.model.refusal import Place, Problem

MOST_BYTES = 1 << 20
MOST_DEPTH = 32
MOST_NODES = 20_000
MOST_DIGITS = 18
LONGEST_NUMBER = 400
HALF = re.compile("[\ud800-\udfff]")
DOCUMENT = "a document of `key: value` lines"
EXAMPLE = "apiVersion: hubfed/v1"
INT = re.compile(r"[-+]?[0-9]+", re.ASCII)
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
WORDS: dict[str, bool | None] = {
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
    "null": None, "Null": None, "NULL": None, "~": None, "": None,
}  # fmt: skip
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class Tree:
    """One document: its data and where each part stands."""

    data: Any
    positions: dict[Place, Position]
    findings: tuple[Finding, ...] = ()
    texts: dict[Place, str] = field(default_factory=dict)  # how numbers are written: 4.10 is not 4.1


def read_trees(file: str, content: bytes) -> tuple[tuple[Tree, ...], tuple[Finding, ...]]:
    """The documents of a file, and what keeps the file from being read."""
    try:
        text = _decode(content)
        roots = _compose(text)
    except _Unreadable as error:
        return (), (finding_at(file, {(): error.position}, error.problem),)
    if not roots:
        problem = Problem("the file is empty", DOCUMENT, EXAMPLE)
        return (), (finding_at(file, {}, problem),)
    return tuple(_Builder(file).tree(root) for root in roots), ()


class _Unreadable(Exception):
    def __init__(self, problem: Problem, position: Position) -> None:
        super().__init__(problem.wrong)
        self.problem = problem
        self.position = position


def _decode(content: bytes) -> str:
    if len(content) > MOST_BYTES:
        wrong = f"the file has more than {MOST_BYTES} bytes"
        raise _Unreadable(Problem(wrong, "fewer", "one file per class"), Position())
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - (content.rfind(b"\n", 0, error.start) + 1) + 1
        raise _Unreadable(
            Problem(f"byte {content[error.start]:#04x} is not UTF-8", "text in UTF-8", EXAMPLE), Position(line, column)
        ) from None
    found = CONTROL.search(text)
    if found is not None:
        name = "a NUL byte" if found.group() == "\0" else f"the control character {ord(found.group()):#04x}"
        position = _position_in(text, found.start())
        raise _Unreadable(Problem(f"there is {name} in the text", "plain text in UTF-8", EXAMPLE), position)
    return text


def _position_in(text: str, index: int) -> Position:
    return Position(text.count("\n", 0, index) + 1, index - (text.rfind("\n", 0, index) + 1) + 1)


def _compose(text: str) -> list[nodes.Node]:
    try:
        _measure(text)
        composed = yaml.compose_all(text, Loader=yaml.SafeLoader)
        return [node for node in composed if not _is_nothing(node)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        position = _at(mark) if mark is not None else Position()
        raise _Unreadable(_yaml_problem(error), position) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the parser lets some of its own escape
        raise _Unreadable(Problem(f"not YAML: {str(error)[:200]}", DOCUMENT, EXAMPLE), Position()) from None


def _measure(text: str) -> None:
    """Refuse what is too deep or too long before anything is built; the parser below is not recursive."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        position = _at(event.start_mark)
        if depth > MOST_DEPTH:
            raise _Unreadable(
                Problem(f"nested more than {MOST_DEPTH} deep", "what the reference shows", EXAMPLE), position
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            shown = str(tag).replace("tag:yaml.org,2002:", "!!")
            raise _Unreadable(Problem(f"the tag {shown} is not known here", "plain values", "no tags"), position)
        if count > MOST_NODES * 2:
            raise _Unreadable(Problem("too many parts for one file", f"at most {MOST_NODES}", EXAMPLE), position)


def _is_nothing(node: nodes.Node) -> bool:
    return isinstance(node, nodes.ScalarNode) and node.style is None and node.value == ""


def _yaml_problem(error: yaml.MarkedYAMLError) -> Problem:
    said = error.problem or "it cannot be read"
    if "\\t" in said or "'\\t'" in str(said):
        return Problem("a tab is used to indent", "spaces only", "two spaces per level")
    if "undefined alias" in said:
        return Problem("not YAML: an alias of no anchor", "text that begins with * in quotes", '"*"')
    return Problem(f"not YAML: {said}", DOCUMENT, EXAMPLE)


@dataclass(slots=True)
class _Builder:
    """Walks the composed nodes. Aliases are followed, and every part they repeat is counted."""

    file: str
    count: int = 0
    positions: dict[Place, Position] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    texts: dict[Place, str] = field(default_factory=dict)

    def tree(self, root: nodes.Node) -> Tree:
        self.count, self.positions, self.problems, self.texts = 0, {(): _start(root)}, [], {}
        try:
            data = self._value(root, ())
        except _Unreadable as error:
            return Tree(None, {}, (finding_at(self.file, {(): error.position}, error.problem),))
        found = tuple(finding_at(self.file, self.positions, problem) for problem in self.problems)
        return Tree(data, self.positions, found, self.texts)

    def _value(self, node: nodes.Node, place: Place) -> Any:
        self.count += 1
        if self.count > MOST_NODES or len(place) > MOST_DEPTH:
            problem = Problem("aliases that grow without bound", f"at most {MOST_NODES} parts in all", "no aliases")
            raise _Unreadable(problem, _start(node))
        if isinstance(node, nodes.MappingNode):
            return {key: self._value(value, (*place, key)) for key, value in self._pairs(node, place)}
        if isinstance(node, nodes.SequenceNode):
            return [self._item(inner, (*place, index)) for index, inner in enumerate(node.value)]
        value = _scalar(node)
        if isinstance(value, str) and HALF.search(value):
            self.problems.append(Problem("half a character (a lone surrogate)", "whole characters", "text", place))
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.texts[place] = str(node.value)
        return value

    def _item(self, node: nodes.Node, place: Place) -> Any:
        self.positions[place] = _start(node)
        return self._value(node, place)

    def _pairs(self, node: nodes.MappingNode, place: Place) -> Iterator[tuple[str, nodes.Node]]:
        first: dict[str, Position] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, nodes.ScalarNode):
                raise _Unreadable(Problem("a key is not a word", "key: value", EXAMPLE), _start(key_node))
            key, position = str(key_node.value), _start(key_node)
            at = (*place, key)
            if HALF.search(key):
                raise _Unreadable(Problem("half a character (a lone surrogate)", "whole characters", EXAMPLE), position)
            if key in first:
                wrong = f"the key {key} is given twice, first in line {first[key].line}"
                self.positions[at] = position
                self.problems.append(Problem(wrong, "each key once", "remove one", at))
                continue
            first[key] = position
            # a value on the same line is what the reader looks for; a block starts at its key
            is_scalar = isinstance(value_node, nodes.ScalarNode) and not _is_nothing(value_node)
            self.positions[at] = _start(value_node) if is_scalar else position
            self.positions[(*at, KEY)] = position
            yield key, value_node


def _scalar(node: nodes.Node) -> Any:
    text = str(node.value)
    if not isinstance(node, nodes.ScalarNode) or node.style is not None:  # quoted, or a block of text
        return text
    if text in WORDS:
        return WORDS[text]
    if len(text) <= MOST_DIGITS and INT.fullmatch(text):
        return int(text)
    if len(text) <= LONGEST_NUMBER and FLOAT.fullmatch(text):
        return float(text)
    return text


def is_plain_text(text: str) -> bool:
    """Whether `text` without quotes would be read as this text, and not as a number, a word like true, or otherwise."""
    as_written = nodes.ScalarNode("", text)
    return text.isprintable() and _scalar(as_written) == text


KEY = "\0key"  # positions[(*place, KEY)] is that of the key itself


def _start(node: nodes.Node) -> Position:
    return _at(node.start_mark)


def _at(mark: Any) -> Position:
    return Position(mark.line + 1, mark.column + 1)
