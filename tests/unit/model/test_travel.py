"""Findings of a coordinator find their places again in the file of whoever sent the classroom."""

from __future__ import annotations

from federation.model.files.check import check_against
from federation.model.files.finding import Located
from federation.model.files.load import read_classrooms
from federation.model.files.travel import details_of, located_findings
from federation.runtime.grpc_errors import error_of, message_of
from tests.unit.model.test_bad_input import GOOD

PLACED = GOOD + b"  placement:\n    allow: [iu, mars]\n    standby: mars\n"


def the_document(content: bytes) -> Located:  # type: ignore[type-arg]
    (document,) = read_classrooms([("a.yaml", content)]).documents
    return document


def test_each_finding_has_line_and_column_of_the_field_that_it_names() -> None:
    document = the_document(PLACED)
    details = details_of(check_against(document.value, {"iu": (0, 0)}))

    found, more = located_findings(details, document)

    assert [str(finding) for finding in found] == [
        "a.yaml:12:17: spec.placement.allow[1]: unknown site mars; one of iu; e.g. iu",
        "a.yaml:13:14: spec.placement.standby: unknown site mars; one of iu; e.g. iu",
    ]
    assert more == 0


def test_a_field_that_the_file_does_not_have_is_shown_where_the_nearest_part_above_it_stands() -> None:
    document = the_document(GOOD)
    details = {"findings": "1", "finding.0": '["spec.dns.aliases[3]", "taken", "another", "b.example.edu"]'}

    (finding,), _more = located_findings(details, document)

    assert (finding.line, finding.path) == (10, "spec.dns.aliases[3]")


def test_what_an_error_cannot_carry_is_counted() -> None:
    document = the_document(
        PLACED.replace(b"[iu, mars]", b"[mars, " + b", ".join(b"x%d" % i for i in range(99)) + b"]")
    )
    findings = check_against(document.value, {f"site-{n}": (0, 0) for n in range(20)})
    from federation.coordinator.checking import refusal  # noqa: PLC0415

    arrived = error_of(message_of(refusal("atm101", findings)))
    found, more = located_findings(arrived.details, document)

    assert found
    assert len(found) + more == len(findings) == 101
