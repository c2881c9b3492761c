"""Quantities: exact amounts, two grammars that are never mixed up, and a refusal in words for everything else.

JupyterHub's `1G` is 1024-based, Kubernetes' `1G` is 1000-based and its `1Gi` 1024-based. Each grammar is written down
here a second time, as its own program has it, and what the models read and print is compared with that.
"""

from __future__ import annotations

import pickle
import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jupyterhub.traitlets import ByteSpecification
from pydantic import TypeAdapter
from pydantic_core import PydanticCustomError

from federation.model.quantities import LARGEST, Capacity, Cpu, Duration, ImageSize, Memory, Quantity
from federation.model.refusal import problems_in

quick = settings(deadline=None, max_examples=100)

KIB, MIB, GIB, TIB = (1 << shift for shift in (10, 20, 30, 40))
IN_MEMORY = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB, "Ki": KIB, "Mi": MIB, "Gi": GIB, "Ti": TIB}
IN_KUBERNETES = {
    "": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": KIB, "Mi": MIB, "Gi": GIB, "Ti": TIB,
}  # fmt: skip
IN_REGISTRIES = {"B": 1, "MB": 10**6, "GB": 10**9, "Mi": MIB, "Gi": GIB}
IN_TIME = {
    "s": 1, "second": 1, "seconds": 1, "m": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip
GRAMMARS: dict[type[Quantity], dict[str, int]] = {
    Memory: IN_MEMORY, Capacity: IN_KUBERNETES, ImageSize: IN_REGISTRIES, Duration: IN_TIME, Cpu: {"m": 1},
}  # fmt: skip
KINDS = list(GRAMMARS)
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)

round_amounts = st.builds(
    lambda count, unit: count * unit // 10, st.integers(0, 9999), st.sampled_from(sorted({*IN_KUBERNETES.values()}))
)
amounts = st.integers(0, LARGEST) | st.integers(0, 100_000) | round_amounts
units = st.sampled_from(sorted({unit for grammar in GRAMMARS.values() for unit in grammar}))
near_units = units | st.sampled_from(
    ["g", "KB", "GiB", "Gib", "kb", "E", "P", "i", "ms", "ns", "w", "min", "u", "cores"]
)
decimals = st.decimals(0, 10**6, places=3).map(lambda number: f"{number:f}")
numbers = st.integers(0, 10**6).map(str) | decimals
texts = st.builds(
    lambda number, space, unit: f"{number}{space}{unit}", numbers, st.sampled_from(["", "", "", " "]), near_units
)


def says(kind: type[Quantity], text: str) -> Decimal | None:
    """The amount that `text` means in the grammar as written above; None if it means nothing."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)( ?)([A-Za-z]*)", text, re.ASCII)
    if found is None or found[3] not in GRAMMARS[kind]:
        return None
    if ("." in found[1] and kind in {Duration, Cpu}) or (found[2] and kind is Cpu):
        return None
    return Decimal(found[1]) * GRAMMARS[kind][found[3]]


def read(kind: type[Quantity], value: object) -> Quantity | None:
    """The quantity, or None if it was refused as it must be: in words, with what is allowed and an example."""
    try:
        return kind.parse(value)
    except PydanticCustomError as error:
        (problem,) = problems_in(error.context)
    assert problem.wrong
    assert problem.allowed
    assert problem.example
    return None


@each_kind
@quick
@given(amount=amounts)
def test_what_is_printed_reads_as_the_same_amount(kind: type[Quantity], amount: int) -> None:
    assert kind.parse(str(kind(amount))) == kind(amount)
    assert says(kind, str(kind(amount))) == amount


@quick
@given(amount=amounts)
def test_memory_as_printed_for_each_program_is_the_same_number_of_bytes_there(amount: int) -> None:
    memory = Memory(amount)
    assert says(Capacity, memory.kubernetes()) == amount, "as Kubernetes reads it"
    assert Memory.parse(memory.kubernetes()) == memory
    written = memory.jupyterhub()
    if written[-1].isalpha():
        assert ByteSpecification().validate(None, written) == amount, "as JupyterHub reads it"


@pytest.mark.parametrize("text", ["0", "1.3G", "16777217"])
def test_jupyterhub_reads_every_amount_that_is_printed_for_it(text: str) -> None:
    memory = Memory.parse(text)
    assert ByteSpecification().validate(None, memory.jupyterhub()) == memory.bytes


@each_kind
@quick
@given(text=texts)
@example(text="1G")
@example(text="1Gi")
@example(text="1k")
@example(text="1K")
@example(text="4GB")
def test_each_text_means_what_its_grammar_says_or_is_refused(kind: type[Quantity], text: str) -> None:
    """A unit of another grammar is never taken for one of this: not 1GB for 1G, not 1K for 1k, not 1g for 1G."""
    meant, found = says(kind, text), read(kind, text)
    if meant is None or meant >= LARGEST + 1:
        assert found is None, f"{text!r} was read as {found!r}"
    else:
        assert found == kind(int(meant)), f"{text!r}: parts of a byte are cut off, nothing else"


def test_one_letter_tells_the_grammars_apart() -> None:
    assert Memory.parse("1G") == Memory.parse("1Gi") == Memory(GIB)
    assert (Capacity.parse("1G").bytes, Capacity.parse("1Gi").bytes) == (10**9, GIB)
    assert (ImageSize.parse("1GB").bytes, ImageSize.parse("1Gi").bytes) == (10**9, GIB)


@each_kind
@quick
@given(one=amounts, other=amounts)
def test_order_and_equality_are_those_of_the_amounts(kind: type[Quantity], one: int, other: int) -> None:
    smaller, larger = kind(one), kind(other)
    assert (smaller < larger) == (one < other)
    assert max(smaller, larger).amount == max(one, other)
    assert (smaller == larger) == (one == other)
    assert hash(kind(one)) == hash(smaller)


@each_kind
@quick
@given(data=st.data())
def test_order_is_kept_from_text_to_amount(kind: type[Quantity], data: st.DataObject) -> None:
    whole = st.builds("{}{}".format, st.integers(0, 5000), st.sampled_from(sorted(GRAMMARS[kind])))
    text, other = data.draw(whole), data.draw(whole)
    meant, meant_too = says(kind, text), says(kind, other)
    assert meant is not None
    assert meant_too is not None
    assert (kind.parse(text) < kind.parse(other)) == (meant < meant_too)


@quick
@given(amount=amounts)
def test_quantities_of_different_kinds_are_never_equal_nor_ordered(amount: int) -> None:
    for kind in KINDS:
        for other in set(KINDS) - {kind}:
            assert kind(amount) != other(amount)
            with pytest.raises(TypeError):
                _ = kind(amount) < other(amount)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.binary(max_size=5) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@each_kind
@quick
@given(value=anything | st.from_regex(r"[0-9]{1,20}\.?[0-9]{0,12} ?[A-Za-z]{0,4}\n?") | st.text("0123456789.-+eE ٣iG"))
def test_anything_else_is_refused_in_words_and_never_fails_otherwise(kind: type[Quantity], value: Any) -> None:
    found = read(kind, value)
    if found is not None and isinstance(value, str):
        meant = says(kind, value)
        assert meant is not None
        assert found.amount == int(meant)
    elif found is not None:
        assert kind is Cpu, "a bare number has no unit: only cores are counted so"
        assert abs(found.amount - value * 1000) < 0.001


@quick
@given(st.integers(0, LARGEST // 1000))
def test_cores_as_a_number_and_thousandths_as_text_agree(cores: int) -> None:
    assert Cpu.parse(cores) == Cpu.parse(f"{cores * 1000}m")
    assert Cpu.parse(cores).cores == cores


@quick
@given(st.integers(0, 10**9))
def test_every_thousandth_of_a_core_can_be_written_as_a_number(millis: int) -> None:
    """1.1 * 1000 is not 1100 for a computer; it must be here."""
    assert Cpu.parse(millis / 1000) == Cpu(millis)


@each_kind
@quick
@given(amount=amounts)
def test_a_quantity_in_a_document_comes_back_and_fits_its_published_schema(kind: type[Quantity], amount: int) -> None:
    adapter = TypeAdapter(kind)
    stored = adapter.dump_python(kind(amount), mode="json")
    assert adapter.validate_python(stored) == pickle.loads(pickle.dumps(kind(amount))) == kind(amount)
    schema = adapter.json_schema()
    patterns = [part["pattern"] for part in [schema, *schema.get("anyOf", [])] if "pattern" in part]
    assert any(re.search(pattern, stored) for pattern in patterns), f"{stored} does not fit {patterns}"


@quick
@given(st.integers(max_value=-1) | st.integers(min_value=LARGEST + 1, max_value=10**30))
def test_no_quantity_is_negative_or_larger_than_can_be_exact_everywhere(amount: int) -> None:
    for kind in KINDS:
        with pytest.raises(ValueError, match="must be from 0 to"):
            kind(amount)
