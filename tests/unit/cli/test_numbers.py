"""Numbers on the command line: which are taken, and which are refused before anything is asked."""

from __future__ import annotations

from argparse import ArgumentTypeError

import pytest

from federation.cli.numbers import count, seconds


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("600", 600.0), ("0.5", 0.5), ("1e3", 1000.0)])
def test_a_patience_is_any_number_from_zero_on(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["-1", "-0.1", "nan", "inf", "", "ten", "5m"])
def test_what_is_no_patience_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"e\.g\. 600"):
        seconds(text)


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("100", 100), ("2147483647", 2**31 - 1)])
def test_a_count_is_a_whole_number_from_one_on(text: str, value: int) -> None:
    assert count(text) == value


@pytest.mark.parametrize("text", ["0", "-5", "1.5", "", "all", "2147483648", "\u0663"])
def test_what_is_no_count_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match=r"e\.g\. 100"):
        count(text)
