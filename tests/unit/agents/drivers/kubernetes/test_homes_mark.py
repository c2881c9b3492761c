"""What a namespace says of its homes, from the first student to the third restore."""

from __future__ import annotations

import pytest

from agents.drivers.base import CopyRef
from agents.drivers.kubernetes.homes_mark import Kept, MarkText
from federation.model.errors import DriverError
from federation.model.identity import Epoch

HUB = "atm101-abc123"
E1, E2, E3 = (Epoch(era=1, n=n) for n in (1, 2, 3))
COPY, OTHER = CopyRef("iu", HUB, "a" * 64), CopyRef("iu", HUB, "b" * 64)


def test_nothing_is_said_of_a_hub_that_has_no_homes() -> None:
    assert MarkText.of(HUB, "") == MarkText()
    assert MarkText().text == ""
    assert MarkText().trees == {}


def test_what_is_written_is_read_back() -> None:
    mark = MarkText().raised(E1).ordered(COPY, E2, ["claim-ada"]).restored()
    assert MarkText.of(HUB, mark.text) == mark


def test_what_was_written_before_there_were_restores_is_understood() -> None:
    assert MarkText.of(HUB, '{"epoch":{"era":1,"n":2}}') == MarkText(epoch=E2)


def test_what_nobody_understands_is_an_error_and_not_a_hub_without_homes() -> None:
    with pytest.raises(DriverError, match="cannot be understood"):
        MarkText.of(HUB, '{"epoch":"first"}')


def test_a_restore_makes_claims_that_never_were() -> None:
    mark = MarkText().raised(E1).ordered(COPY, E2, ["claim-ada", "claim4-ada", "hub-db-dir"])
    assert mark.filled == 5
    assert (mark.epoch, mark.generation) == (E1, 0), "the homes are what they were until it is done"
    assert MarkText().ordered(COPY, E2, ()).filled == 1


def test_the_same_order_again_goes_on_with_the_same_claims_and_another_one_never_does() -> None:
    mark = MarkText().ordered(COPY, E2, ())
    assert mark.ordered(COPY, E2, ["claim1-ada"]) == mark
    assert mark.ordered(OTHER, E2, ["claim1-ada"]).filled == 2
    assert mark.ordered(COPY, E3, ()).filled == 2


def test_a_restore_that_is_done_puts_the_homes_of_before_aside() -> None:
    first = MarkText().raised(E1).ordered(COPY, E2, ["claim-ada"]).restored()
    assert first.is_of(COPY, E2)
    assert not first.is_of(OTHER, E2)
    assert (first.generation, first.due) == (1, None)
    assert first.kept == (Kept(epoch=E1, generation=0),)
    second = first.ordered(OTHER, E3, ()).restored()
    assert second.kept == (*first.kept, Kept(epoch=E2, generation=1))
    assert second.trees == {2: E3, 0: E1, 1: E2}
    assert second.kept_claims == ("claims claim-* of epoch 1.1", "claims claim1-* of epoch 1.2")


def test_where_there_were_no_homes_none_are_put_aside() -> None:
    assert MarkText().ordered(COPY, E2, ()).restored().kept == ()


def test_the_same_homes_go_on_at_a_newer_epoch_but_not_as_the_copy_that_they_were() -> None:
    mark = MarkText().ordered(COPY, E2, ()).restored().raised(E3)
    assert (mark.epoch, mark.generation, mark.source) == (E3, 1, None)


def test_a_restore_that_is_given_up_leaves_the_homes_as_they_are() -> None:
    mark = MarkText().raised(E1)
    assert mark.ordered(COPY, E2, ()).abandoned() == mark
    assert MarkText().ordered(COPY, E2, ()).abandoned().text == ""
