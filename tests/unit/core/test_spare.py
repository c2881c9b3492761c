"""If a site goes: those that are needed most have room first, and what is given to one is gone for the next."""

from __future__ import annotations

from federation.core.placement import Need, SiteFacts
from federation.core.spare import Claim, Fit, plan

GIB = 2**30
TACC, MARS = SiteFacts("tacc", 8_000, 16 * GIB), SiteFacts("mars", 4_000, 8 * GIB)


def claim(name: str, urgency: int = 3, cores: int = 4, *targets: str) -> Claim:
    return Claim(name, urgency, Need(10, cores * 1000, cores * GIB), targets or ("tacc",))


def test_all_fit() -> None:
    found = plan("iu", [claim("b"), claim("a")], [TACC])
    assert found.fits == (Fit("a", "tacc"), Fit("b", "tacc"))
    assert found.sentence == "2 of 2 classes of iu find room together: a to tacc, b to tacc"


def test_each_fits_alone_and_the_least_urgent_waits() -> None:
    found = plan("iu", [claim("a"), claim("exam", 1), claim("now", 0)], [TACC])
    assert [fit.name for fit in found.fits] == ["now", "exam"]
    assert found.why_waits("a") == "tacc: needs 4 cores for 10 seats, 0 of 8 are free"
    assert found.why_waits("now") == ""
    assert "2 of 3 classes of iu find room together: now to tacc, exam to tacc; without room: a (" in found.sentence


def test_a_small_class_finds_room_that_a_large_one_before_it_did_not() -> None:
    found = plan("iu", [claim("large", 0, 9), claim("small", 3, 2)], [TACC])
    assert found.fits == (Fit("small", "tacc"),)
    assert [wait.name for wait in found.waits] == ["large"]


def test_the_next_site_that_is_allowed_takes_what_the_first_has_no_room_for() -> None:
    found = plan("iu", [claim(name, 3, 4, "mars", "tacc") for name in "abc"], [TACC, MARS])
    assert [fit.site for fit in found.fits] == ["mars", "tacc", "tacc"]


def test_what_is_placed_there_already_is_not_free_and_the_site_itself_is_no_refuge() -> None:
    full = SiteFacts("tacc", 8_000, 16 * GIB, reserved_cpu_millis=6_000)
    found = plan("iu", [claim("a"), claim("b", 3, 1, "iu")], [full, SiteFacts("iu", 99_000, 99 * GIB)])
    assert found.fits == ()
    assert found.why_waits("b") == "no other site is allowed"


def test_nothing_to_move() -> None:
    assert plan("iu", [], [TACC]).sentence == "no class of iu would be moved"
