"""Reading classroom files for the verbs that take them; every finding of every file is shown at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from federation.api.v1 import control_pb2
from federation.api.v1.classroom_pb2 import ClassroomSpec
from federation.cli import output
from federation.model.classroom import Classroom
from federation.model.files.finding import Finding, Located, finding_at
from federation.model.files.load import read_classrooms
from federation.model.refusal import Problem
from federation.runtime.bridge import to_message

MOST_BYTES = 1 << 21


def read_checked(paths: list[str]) -> tuple[Located[Classroom], ...] | None:
    """The classrooms of all files; None if anything is wrong, which is then on standard error."""
    files, unreadable = read_files(paths)
    checked = read_classrooms(files, content_of)
    findings = (*unreadable, *checked.findings)
    if findings:
        tell(findings)
        return None
    return checked.documents


def read_files(paths: Sequence[str]) -> tuple[list[tuple[str, bytes]], tuple[Finding, ...]]:
    """What can be read, and a finding for each file that cannot: it hides nothing that is wrong with the others."""
    files: list[tuple[str, bytes]] = []
    findings: list[Finding] = []
    for path in paths:
        try:
            files.append((path, content_of(path)))
        except (OSError, ValueError) as error:  # ValueError: a name that no system has
            wrong = f"the file cannot be read: {getattr(error, 'strerror', None) or 'no such name'}"
            findings.append(
                finding_at(path, {}, Problem(wrong, "a file that is there and may be read", "classroom.yaml"))
            )
    return files, tuple(findings)


def tell(findings: Sequence[Finding], *, more: int = 0) -> None:
    """Every finding on standard error, and how many there are; `more` could not be told one by one."""
    for finding in findings:
        output.say(str(finding))
    count = len(findings) + more
    rest = f", {more} of them not shown" if more else ""
    output.say(f"{count} error{'s' if count > 1 else ''}{rest}; nothing was written")


def classroom_message(classroom: Classroom) -> control_pb2.Classroom:
    """For the wire."""
    return control_pb2.Classroom(
        name=classroom.name, labels=dict(classroom.labels), spec=to_message(classroom.spec, ClassroomSpec)
    )


def content_of(path: str) -> bytes:
    """A file's bytes, up to what no reader takes; raises OSError."""
    with Path(path).open("rb") as file:
        return file.read(MOST_BYTES)
