"""Work of students is seen, also of those who have gone."""

from __future__ import annotations

from agents.drivers.kubernetes.hub_use import HubUse

NOBODY, ADA, BOTH = 0, 11, 22


def test_who_has_come_and_gone_has_worked() -> None:
    use = HubUse()
    before = use.number("a", NOBODY)
    during = use.number("a", ADA)
    after = use.number("a", NOBODY)
    assert len({before, during, after}) == 3
    assert use.number("a", NOBODY) == after
    use.number("a", ADA)
    assert use.number("a", NOBODY) not in (before, during, after)


def test_as_long_as_the_same_servers_run_it_is_the_same_number_to_a_new_agent_too() -> None:
    use = HubUse()
    assert use.number("a", BOTH) == use.number("a", BOTH) == HubUse().number("a", BOTH)


def test_hubs_have_nothing_to_do_with_each_other() -> None:
    use = HubUse()
    before = use.number("a", NOBODY)
    use.number("b", ADA)
    assert use.number("a", NOBODY) == before
