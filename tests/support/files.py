"""Classroom files for tests: the least that is valid, and a reader that fails with the findings."""

from __future__ import annotations

from federation.model.classroom import Classroom
from federation.model.files.load import read_classrooms

LEAST = """apiVersion: hubfed/v1
kind: Classroom
metadata: {name: least}
spec:
  term: {start: 2026-09-01, end: 2026-12-18, timezone: America/Chicago}
  contacts: {instructor: ann}
  roster: {expected: 10, admins: [ann]}
  image: {name: quay.example/lab, tag: 2026-08-20}
  dns: {host: least.hubs.example.edu}
  auth: {type: dummy}
"""


def only(content: str) -> Classroom:
    """The one classroom in `content`; AssertionError with the findings if it is wrong."""
    checked = read_classrooms([("a.yaml", content.encode())])
    assert checked.findings == (), "\n".join(str(finding) for finding in checked.findings)
    (classroom,) = checked.values
    return classroom
