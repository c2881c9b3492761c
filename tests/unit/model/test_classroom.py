"""What a right classroom file means: defaults, both grammars of quantities, and text that other readers take for more."""

from __future__ import annotations

from datetime import date

import pytest

from federation.model.classroom import Classroom
from federation.model.files.load import read_classrooms
from tests.support.files import LEAST, only


def test_the_papers_figures_are_the_defaults() -> None:
    spec = only(LEAST).spec

    assert str(spec.resources.memory.guarantee) == "1G"
    assert str(spec.resources.memory.limit) == "2G"
    assert spec.resources.cpu.guarantee.cores == 1
    assert spec.resources.cpu.limit.cores == 2
    assert spec.storage.type == "dynamic"
    assert str(spec.storage.capacity) == "5Gi"


def test_the_other_defaults() -> None:
    spec = only(LEAST).spec

    assert (spec.limits.start_timeout, spec.limits.concurrent_spawns, spec.dns.ttl) == (600, 64, 60)
    assert (spec.placement.allow, spec.placement.prefer, spec.placement.standby) == ((), None, "auto")
    assert spec.active_server_limit == 12  # 10 expected x 1.2
    assert spec.storage.protection is not None
    assert str(spec.storage.protection.every) == "15m"


@pytest.mark.parametrize("written", ["7.5G", "7.5Gi", "7680M", "7680Mi"])
def test_memory_is_accepted_in_both_grammars(written: str) -> None:
    spec = only(LEAST + f"  resources: {{memory: {{guarantee: {written}, limit: 8G}}}}\n").spec

    assert spec.resources.memory.guarantee.bytes == 7680 << 20


def test_words_and_clock_times_stay_text() -> None:
    content = LEAST.replace("instructor: ann", "instructor: no").replace("name: least", "name: 'true'")
    content += "  meetings: [{weekly: {days: [tue], at: 14:30, minutes: 120}}]\n"

    classroom = only(content)

    assert classroom.name == "true"
    assert classroom.spec.contacts.instructor == "no"
    assert classroom.spec.meetings[0].weekly is not None
    assert classroom.spec.meetings[0].weekly.at == "14:30"
    assert classroom.spec.term.start == date(2026, 9, 1)


def test_user_names_are_lower_cased_and_sorted_so_that_order_is_no_change() -> None:
    one = only(LEAST.replace("admins: [ann]", "admins: [Ann], users: [Zoe, bob]"))
    other = only(LEAST.replace("admins: [ann]", "admins: [ann], users: [bob, zoe]"))

    assert one == other
    assert one.spec.roster.users == ("bob", "zoe")


def test_an_admin_among_the_users_is_no_student() -> None:
    roster = only(LEAST.replace("admins: [ann]", "admins: [ann], users: [ann, bob]")).spec.roster

    assert roster.students == ("bob",)


def test_users_in_a_file_are_equal_to_users_in_place() -> None:
    named = LEAST.replace("admins: [ann]", "admins: [ann], users_file: r.csv")
    listed = LEAST.replace("admins: [ann]", "admins: [ann], users: [ada, bob]")

    checked = read_classrooms([("a.yaml", named.encode())], lambda _: b"# the class\nuser\nAda\n\nbob,2\n")

    assert checked.findings == ()
    assert checked.values == (only(listed),)


def test_the_class_of_volumes_is_called_class_in_the_file() -> None:
    assert only(LEAST + "  storage: {class: ceph-block}\n").spec.storage.storage_class == "ceph-block"


def test_aliases_that_stay_small_are_allowed() -> None:
    profile = "{name: a, default: true, memory: *m}"
    spec = only(LEAST + f"  resources: {{memory: &m {{guarantee: 1G, limit: 4G}}, profiles: [{profile}]}}\n").spec

    assert spec.resources.profiles[0].memory == spec.resources.memory


def test_two_documents_are_two_classes() -> None:
    second = LEAST.replace("least", "other")

    checked = read_classrooms([("a.yaml", f"{LEAST}---\n{second}".encode())])

    assert [classroom.name for classroom in checked.values] == ["least", "other"]


def test_a_classroom_survives_the_registers_json() -> None:
    auth = "auth: {type: cilogon, secret: s, options: {n: 1, idps: [{a: 1.5}]}}"
    classroom = only(LEAST.replace("auth: {type: dummy}", auth) + "  overrides: {values: {n: 2.0}}\n")

    assert Classroom.model_validate_json(classroom.model_dump_json()) == classroom


def test_a_finding_about_a_read_document_stands_at_its_line() -> None:
    checked = read_classrooms([("a.yaml", LEAST.encode())])

    assert checked.documents[0].positions["spec", "dns", "host"].line == 9
