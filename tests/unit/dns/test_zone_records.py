"""How a name stands in a zone: which record its target becomes, and which targets no zone could lead to."""

from __future__ import annotations

import pytest

from federation.dns.interface import NameRecord
from federation.dns.zone_records import NameInZone, address_of, change, removal
from federation.model.errors import Refused
from federation.model.identity import Epoch

HOST = "atm101.hubs.test"
OURS = '"hubfed=1 hub=atm101-aaaaaa epoch=2.17"'


def record(target: str) -> NameRecord:
    return NameRecord(HOST, "atm101-aaaaaa", Epoch(era=2, n=17), target, 30)


@pytest.mark.parametrize(
    ("target", "becomes"),
    [
        ("192.0.2.1:443", ("A", "192.0.2.1")),
        ("[2001:DB8::1]:443", ("AAAA", "2001:db8::1")),
        ("edge.iu.example.edu:443", ("CNAME", "edge.iu.example.edu.")),
    ],
)
def test_the_kind_of_record_follows_from_the_edge(target: str, becomes: tuple[str, str]) -> None:
    assert address_of(record(target), 443) == becomes


@pytest.mark.parametrize(
    ("target", "says", "help_says"),
    [
        ("192.0.2.1:8080", "students come to port 443", "edge_port"),
        ("0.0.0.0:443", "every address of a host", "edge.address"),
        ("[::]:443", "every address of a host", "edge.address"),
        (f"{HOST}:443", "lead to itself", "name of its own"),
    ],
)
def test_a_target_that_no_name_can_lead_to_is_refused(target: str, says: str, help_says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        address_of(record(target), 443)
    assert help_says in refused.value.help


@pytest.mark.parametrize("text", ['"v=spf1 -all"', '"hubfed=1 hub=x"', '"hubfed=1 hub=a epoch=1.2" "more"', '""'])
def test_a_text_that_we_did_not_write_makes_no_name_ours(text: str) -> None:
    assert NameInZone(HOST, (text,), (("A", "192.0.2.1"),)).record(443) is None


def test_two_texts_are_nobodys() -> None:
    assert NameInZone(HOST, (OURS, OURS.replace("17", "18"))).record(443) is None


@pytest.mark.parametrize(
    ("addresses", "target"),
    [
        ((("A", "192.0.2.1"),), "192.0.2.1:443"),
        ((("AAAA", "2001:db8::1"),), "[2001:db8::1]:443"),
        ((("CNAME", "edge.iu.example.edu."),), "edge.iu.example.edu:443"),
        ((), "nothing"),
        ((("A", "192.0.2.1"), ("AAAA", "2001:db8::1")), "192.0.2.1 and 2001:db8::1"),
    ],
)
def test_what_was_read_is_shown_as_it_is(addresses: tuple[tuple[str, str], ...], target: str) -> None:
    assert NameInZone(HOST, (OURS,), addresses).record(443) == record(target)


def test_an_update_repeats_what_was_read_and_touches_no_more_than_that() -> None:
    found = NameInZone(HOST, (OURS,), (("A", "192.0.2.1"),))
    lines = change("hubs.test", found, record("edge.tacc.example.edu:443"), 443).to_text().splitlines()
    required = lines[lines.index(";PREREQ") + 1 : lines.index(";UPDATE")]
    done = lines[lines.index(";UPDATE") + 1 : lines.index(";ADDITIONAL")]
    assert required == [
        f"_hubfed.{HOST}. 0 IN TXT {OURS}",
        f"{HOST}. NONE AAAA",
        f"{HOST}. NONE CNAME",
        f"{HOST}. 0 IN A 192.0.2.1",
    ]
    assert done == [
        f"{HOST}. ANY A",
        f"_hubfed.{HOST}. ANY TXT",
        f"{HOST}. 30 IN CNAME edge.tacc.example.edu.",
        f"_hubfed.{HOST}. 30 IN TXT {OURS}",
    ]


def test_a_name_that_is_not_ours_must_not_be_there_at_all() -> None:
    lines = removal("hubs.test", NameInZone(HOST, ('"theirs"',), (("A", "192.0.2.1"),))).to_text().splitlines()
    said = lines[lines.index(";PREREQ") + 1 : lines.index(";ADDITIONAL")]
    assert said == [f"{HOST}. NONE ANY", f"_hubfed.{HOST}. NONE ANY", ";UPDATE"]
