"""Reading who a certificate names: three forms, exactly, and never more than one."""

from __future__ import annotations

import pytest

from federation.model.errors import Denied, InvalidRequest
from federation.runtime.identity_uri import Kind, Principal, agent_uri, coordinator_uri, parse, principal_of, user_uri

R = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    ("uri", "principal", "label"),
    [
        (coordinator_uri(R, "c1"), Principal(Kind.COORDINATOR, "c1", R), "coordinator/c1"),
        (agent_uri(R, "iu", "U-1"), Principal(Kind.AGENT, "iu", R, "U-1"), "agent/iu"),
        (user_uri(R, "ada@example.edu"), Principal(Kind.USER, "ada@example.edu", R), "user/ada@example.edu"),
    ],
)
def test_what_is_written_is_read_back(uri: str, principal: Principal, label: str) -> None:
    assert parse(uri) == principal
    assert principal.uri == uri
    assert principal.label == label


def test_only_an_agent_has_a_site() -> None:
    assert [parse(uri).site for uri in (agent_uri(R, "iu", "u"), user_uri(R, "iu"), coordinator_uri(R, "iu"))] == [
        "iu",
        "",
        "",
    ]


@pytest.mark.parametrize(
    "uri",
    [
        "",
        f"hubfed://{R}",
        f"hubfed://{R}/user/",
        f"hubfed://{R}/user/ada/",
        f"hubfed://{R}/user/ada?x",
        f"hubfed://{R}/user/ada#x",
        f"hubfed://{R}/user/a%64a",
        f"hubfed://{R}/user/ada\n",
        f"hubfed://{R}/user/../coordinator/c1",
        f"hubfed://{R}/agent/iu",
        f"hubfed://{R}/agent/IU/u1",
        f"hubfed://{R}/agent/iu/u1/u2",
        f"hubfed://{R}/root/ada",
        f"hubfed://{R.upper()}/user/ada",
        f"HUBFED://{R}/user/ada",
        f"hubfed://ada@{R}/user/ada",
        f"hubfed://{R}:1/user/ada",
        "hubfed://federation/user/ada",
        f"https://{R}/user/ada",
        f"hubfed://{R}/user/{'a' * 129}",
    ],
)
def test_anything_else_is_nobody(uri: str) -> None:
    with pytest.raises(InvalidRequest):
        parse(uri)


@pytest.mark.parametrize("bad", ["", "two words", "a/b", "ü"])
def test_a_name_that_cannot_be_read_back_is_not_written(bad: str) -> None:
    with pytest.raises(InvalidRequest):
        user_uri(R, bad)
    with pytest.raises(InvalidRequest):
        coordinator_uri(R, bad)
    with pytest.raises(InvalidRequest):
        agent_uri(R, bad, "u1")


def test_other_names_of_a_certificate_do_not_matter() -> None:
    names = [b"spiffe://example.edu/x", user_uri(R, "ada").encode()]
    assert principal_of(names) == Principal(Kind.USER, "ada", R)


@pytest.mark.parametrize(
    "names",
    [
        [],
        [b"https://example.edu"],
        [user_uri(R, "ada").encode(), user_uri(R, "bob").encode()],
        [user_uri(R, "ada").encode(), user_uri(R, "ada").encode()],
        [user_uri(R, "ada").encode(), b"HUBFED://anything"],
        [f"hubfed://{R}/user/\u00fc".encode()],
    ],
)
def test_a_certificate_names_exactly_one_principal(names: list[bytes]) -> None:
    with pytest.raises(Denied):
        principal_of(names)
