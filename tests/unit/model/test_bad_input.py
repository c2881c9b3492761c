"""What bad input gets: every error at once, each as FILE:LINE:COLUMN: PATH: what is wrong; what is allowed; an example.

Each file in `bad_input/` begins with the findings that it must give, one comment line each; nothing more, nothing less.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from federation.model.files.finding import Finding
from federation.model.files.load import read_classrooms

FOLDER = Path(__file__).parent / "bad_input"
FILES = sorted(FOLDER.glob("*.yaml"))
GOOD = b"""apiVersion: hubfed/v1
kind: Classroom
metadata: {name: atm101}
spec:
  term: {start: 2026-08-24, end: 2026-12-18, timezone: America/Chicago}
  contacts: {instructor: prof}
  roster: {expected: 25, admins: [prof]}
  auth: {type: dummy}
  image: {name: org/lab, tag: 2026-08-20}
  dns: {host: atm101.hubs.example.edu}
"""


def read_beside(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def findings(content: bytes, name: str = "a.yaml") -> tuple[Finding, ...]:
    return read_classrooms([(name, content)], read_beside).findings


def test_the_good_file_is_good() -> None:
    assert findings(GOOD) == ()


def test_there_are_files() -> None:
    assert len(FILES) >= 80


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_bad_file_gives_exactly_its_findings(path: Path) -> None:
    content = path.read_bytes()
    header = [line for line in content.decode().splitlines() if line.startswith("# ")]
    checked = read_classrooms([(path.name, content)], read_beside)

    assert [str(finding) for finding in checked.findings] == [f"{path.name}:{line[2:]}" for line in header]
    assert header
    # only the first of two documents with one name is whole
    assert len(checked.documents) == (1 if path.stem == "two-documents-with-one-name" else 0)


@pytest.mark.parametrize("path", [p for p in FILES if p.stem.startswith("secret-")], ids=lambda path: path.stem)
def test_a_planted_secret_is_never_repeated(path: Path) -> None:
    said = "\n".join(str(finding) for finding in findings(path.read_bytes()))

    assert "hunter2" not in said
    assert "ghp_" not in said
    assert "9f86d081" not in said


@pytest.mark.parametrize(
    ("content", "line", "column", "wrong"),
    [
        (b"", 1, 1, "the file is empty"),
        (b"\n# only a comment\n", 1, 1, "the file is empty"),
        (b"---\n---\n", 1, 1, "the file is empty"),
        (GOOD + b"  post_start: [\x00]\n", 11, 16, "a NUL byte"),
        (GOOD + b"  post_start: [\x1b]\n", 11, 16, "the control character 0x1b"),
        (GOOD + b"  post_start: [\xff]\n", 11, 16, "byte 0xff is not UTF-8"),
        (GOOD.decode().encode("utf-16"), 1, 1, "is not UTF-8"),
        (b"a: " + b"x" * (1 << 20), 1, 1, "the file has more than 1048576 bytes"),
        (b"[" * 5000, 1, 33, "nested more than 32 deep"),
        (b"? " * 5000, 1, 65, "nested more than 32 deep"),
        (b"a: &a [*a]\n", 1, 4, "aliases that grow without bound"),
        (b"- x\n" * 50_000, 39_999, 3, "too many parts"),
        (b"a: 1\n...\nb: 2\n", 3, 1, "not YAML"),
        (b"? {a: 1}\n: 2\n", 1, 3, "a key is not a word"),
        (b"singleuser: {memory: {limit: 2G}}\n", 1, 1, "this is another program's file"),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value)[:30],
)
def test_hostile_bytes_are_one_clear_finding(content: bytes, line: int, column: int, wrong: str) -> None:
    (finding,) = findings(content)

    assert (finding.line, finding.column) == (line, column)
    assert wrong in finding.wrong


def test_the_same_name_in_two_files_is_refused_with_both_places() -> None:
    checked = read_classrooms([("a.yaml", GOOD), ("b.yaml", GOOD)])

    assert [document.file for document in checked.documents] == ["a.yaml"]
    assert [str(finding) for finding in checked.findings] == [
        "b.yaml:3:18: metadata.name: atm101 is also the name of the document at a.yaml:3; each name once; e.g. atm101-2"
    ]


def test_a_host_name_of_two_documents_is_refused_with_both_places_also_as_an_alias() -> None:
    other = GOOD.replace(b"name: atm101}", b"name: b}")
    alias = GOOD.replace(b"name: atm101}", b"name: c}").replace(
        b"{host: atm101.", b"{aliases: [atm101.hubs.example.edu], host: c."
    )

    checked = read_classrooms([("a.yaml", GOOD), ("b.yaml", other + b"---\n" + alias)])

    assert [classroom.name for classroom in checked.values] == ["atm101"]
    said = (
        "atm101.hubs.example.edu is also a host name of the document at a.yaml:10; each host name once; "
        "e.g. atm101-2.hubs.example.edu"
    )
    assert [str(finding) for finding in checked.findings] == [
        f"b.yaml:10:15: spec.dns.host: {said}",
        f"b.yaml:21:19: spec.dns.aliases[0]: {said}",
    ]


def test_a_good_document_beside_a_bad_one_is_still_read() -> None:
    bad = GOOD.replace(b"atm101", b"b").replace(b"expected: 25", b"expected: none")

    checked = read_classrooms([("a.yaml", GOOD + b"---\n" + bad)])

    assert [classroom.name for classroom in checked.values] == ["atm101"]
    assert [(finding.line, finding.path) for finding in checked.findings] == [(18, "spec.roster.expected")]


def test_a_rule_between_two_right_sections_is_checked_beside_a_wrong_third() -> None:
    content = GOOD.replace(b"expected: 25", b"expected: 1, users: [a, b]").replace(b"tag: 2026-08-20", b"tag: latest")

    assert [finding.path for finding in findings(content)] == ["spec.roster.expected", "spec.image.tag"]


@pytest.mark.parametrize(
    ("right", "wrong", "paths"),
    [
        (b"end: 2026-12-18", b"end: 2026-08-01, grace_days: x", ["spec.term.end", "spec.term.grace_days"]),
        (
            b"auth: {type: dummy}",
            b"auth: {type: dummy}\n  placement: {flavor: 3, allow: [iu], prefer: a, standby: b}",
            ["spec.placement.flavor", "spec.placement.prefer", "spec.placement.standby"],
        ),
        (
            b"auth: {type: dummy}",
            b"auth: {type: github, options: 3}",
            ["spec.auth.secret", "spec.auth.options"],
        ),
        (
            b"roster: {expected: 25",
            b"meetings: [{attend: 9, weekly: {days: [xyz], at: '9'}}]\n  roster: {expected: 1, users: [a, b], sync: 3",
            [
                "spec.meetings[0].weekly.days[0]",
                "spec.meetings[0].weekly.at",
                "spec.meetings[0].weekly.minutes",
                "spec.meetings[0].attend",
                "spec.roster.expected",
                "spec.roster.sync",
            ],
        ),
        # what cannot be judged is not guessed at: the default of a wrong limit is nobody's mistake
        (
            b"auth: {type: dummy}",
            b"auth: {type: dummy}\n  resources: {memory: {guarantee: 3G, limit: x}}",
            ["spec.resources.memory.limit"],
        ),
    ],
)
def test_a_wrong_field_does_not_hide_what_is_wrong_beside_it(right: bytes, wrong: bytes, paths: list[str]) -> None:
    assert sorted(finding.path for finding in findings(GOOD.replace(right, wrong))) == sorted(paths)


def test_a_users_file_gives_findings_at_its_own_lines() -> None:
    content = GOOD.replace(b"admins: [prof]", b"admins: [prof], users_file: class/roster.csv")
    roster = b"user,section\nAda,1\nbad name,2\nada,2\n"

    checked = read_classrooms([("terms/a.yaml", content)], lambda name: {"terms/class/roster.csv": roster}[name])

    assert [(finding.file, finding.line, finding.wrong) for finding in checked.findings] == [
        ("terms/class/roster.csv", 3, "'bad name' cannot be a user name"),
        ("terms/class/roster.csv", 4, "ada stands in line 2 already, capitals make no difference"),
    ]
