"""Reading classroom files for the verbs that take them; every finding of every file is shown at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from federation.api.v1 import control_pb2
from federation.api.v1.classroom_pb2 import ClassroomSpec
from federation.cli import output
from federation.model.classroom import Classroom
from federation.model.errors import InvalidRequest
from federation.model.files.finding import Finding, Located
from federation.model.files.load import read_classrooms
from federation.runtime.bridge import to_message

MOST_BYTES = 1 << 21


def read_checked(paths: list[str]) -> tuple[Located[Classroom], ...] | None:
    """The classrooms of all files; None if anything is wrong, which is then on standard error."""
    checked = read_classrooms([(path, content_of(path)) for path in paths], content_of)
    if checked.findings:
        tell(checked.findings)
        return None
    return checked.documents


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
    """A file's bytes; InvalidRequest if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror}", help="Check the path.") from error
