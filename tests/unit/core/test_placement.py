"""First placement: fits? the preferred site, else the best fit; every site's verdict says why."""

import pytest

from federation.core.placement import SILENT_S, Choice, Need, SiteFacts, Wish, choose

GIB = 2**30
CLASS = Need(seats=25, cpu_millis=25_000, memory_bytes=25 * GIB)


def site(name: str, cores: int = 30, gib: int = 60, **more: object) -> SiteFacts:
    return SiteFacts(name=name, cpu_millis=cores * 1000, memory_bytes=gib * GIB, **more)  # type: ignore[arg-type]


def place(*sites: SiteFacts, need: Need = CLASS, **wish: object) -> Choice:
    return choose(sites, need, Wish(**wish))  # type: ignore[arg-type]


def test_the_preferred_site_wins_when_the_class_fits_there() -> None:
    choice = place(site("iu"), site("tacc", cores=26), prefer="iu")
    assert choice.site == "iu"
    assert choice.reason == "preferred and fits"


def test_without_a_preference_the_fullest_site_that_fits_wins() -> None:
    assert place(site("iu", cores=300), site("tacc", cores=26)).site == "tacc"


def test_a_full_preferred_site_gives_way_and_the_reason_has_the_numbers() -> None:
    choice = place(site("iu", reserved_cpu_millis=20_000), site("tacc"), prefer="iu")
    assert choice.site == "tacc"
    assert "preferred iu is out: needs 25 cores for 25 seats, 10 of 30 are free" in choice.reason


def test_nothing_fits_is_an_answer_with_every_sites_reason() -> None:
    choice = place(site("iu", cores=4), site("tacc", gib=10))
    assert choice.site is None
    assert "iu: needs 25 cores" in choice.reason
    assert "tacc: needs 25 GiB for 25 seats, 10 of 10 are free" in choice.reason
    assert [v.fits for v in choice.verdicts] == [False, False]


def test_a_site_that_is_not_allowed_is_out_however_empty_it_is() -> None:
    choice = place(site("iu", cores=900), site("tacc"), allow=("tacc",))
    assert choice.site == "tacc"
    assert next(v.reason for v in choice.verdicts if v.site == "iu") == "placement.allow is tacc"


@pytest.mark.parametrize(("silent_s", "words"), [(None, "never heard"), (SILENT_S + 1, "not heard for more than 30 s")])
def test_a_silent_site_gets_no_new_hub(silent_s: float | None, words: str) -> None:
    choice = place(site("iu", silent_s=silent_s), site("tacc"), prefer="iu")
    assert choice.site == "tacc"
    assert words in choice.reason


def test_the_standby_is_another_site_that_fits_unless_named_or_refused() -> None:
    sites = (site("iu"), site("tacc"), site("asu", cores=1))
    assert choose(sites, CLASS, Wish(prefer="iu")).standby == "tacc"
    assert choose(sites, CLASS, Wish(prefer="iu", standby="asu")).standby == "asu"
    assert choose(sites, CLASS, Wish(prefer="iu", wants_standby=False)).standby is None


def test_the_answer_does_not_depend_on_the_order_of_sites() -> None:
    a, b = site("a"), site("b")
    assert choose((a, b), CLASS, Wish()) == choose((b, a), CLASS, Wish())


def test_a_hub_that_ran_before_goes_only_where_its_homes_are() -> None:
    choice = place(site("iu", cores=1), site("tacc"), homes_at="iu")
    assert choice.site is None, "an empty home at tacc would be worse than waiting"
    assert "tacc: its students' homes are at iu, and there is no copy here" in choice.reason
