"""Quantities of the files: memory, CPU, volume size, image size, duration. Exact integers inside, one canonical text.

Two grammars meet here. JupyterHub's `1G` is 1024-based and knows no `Gi`; Kubernetes' `1Gi` is 1024-based and its `1G`
is 1000-based. Memory is JupyterHub's word, so `1G` and `1Gi` are both 1 GiB there; a volume is Kubernetes' word, so
`1G` is 10^9 bytes there. `GB` and `GiB` are refused where the program behind would refuse them later, at run time.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import total_ordering
from typing import Any, ClassVar, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

from federation.model.refusal import refuse

BINARY = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
DECIMAL = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
NUMBER = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)[ ]?([A-Za-z]*)", re.ASCII)
LARGEST = 1 << 53  # every amount is exact in JSON and in JavaScript


@total_ordering
class Quantity:
    """An exact amount: immutable, ordered and equal by amount. Subclasses say how it is written."""

    __slots__ = ("_amount",)
    WRITTEN: ClassVar[str] = ""
    EXAMPLE: ClassVar[str] = ""
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string"}

    def __init__(self, amount: int) -> None:
        if not 0 <= amount <= LARGEST:
            raise ValueError(f"{type(self).__name__} of {amount}: must be from 0 to {LARGEST}")
        object.__setattr__(self, "_amount", amount)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable")

    @property
    def amount(self) -> int:
        """In the smallest unit."""
        return int(object.__getattribute__(self, "_amount"))

    @classmethod
    def parse(cls, value: object) -> Self:
        """From a file or message. Raises the error of `refuse` (a ValueError)."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise cls._wrong(f"{_kind(value)} is not text with a unit")
        amount = cls._read(value)
        if amount > LARGEST:
            raise cls._wrong(f"{value} is more than anything can hold")
        return cls(amount)

    @classmethod
    def _read(cls, text: str) -> int:
        raise NotImplementedError

    @classmethod
    def _wrong(cls, wrong: str) -> ValueError:
        return refuse(wrong, cls.WRITTEN, cls.EXAMPLE)

    @classmethod
    def _scaled(cls, text: str, units: dict[str, int]) -> int:
        found = NUMBER.fullmatch(text)
        if found is None:
            raise cls._wrong(f"{text!r} is not a number with a unit")
        number, unit = found.groups()
        if unit not in units:
            raise cls._wrong(f"unknown unit {unit!r} in {text!r}")
        return int(Decimal(number) * units[unit])

    def __eq__(self, other: object) -> bool:
        return self.amount == other.amount if isinstance(other, type(self)) else NotImplemented

    def __lt__(self, other: Self) -> bool:
        return self.amount < other.amount if isinstance(other, type(self)) else NotImplemented

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.amount))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[int]]:
        return type(self), (self.amount,)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        write = core_schema.plain_serializer_function_ser_schema(str, when_used="json")
        return core_schema.no_info_plain_validator_function(cls.parse, serialization=write)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"title": cls.__name__, "description": cls.WRITTEN, "examples": [cls.EXAMPLE], **cls.SCHEMA}


class Memory(Quantity):
    """Bytes of memory, as JupyterHub means them: `1G` is 1024 x 1024 x 1024 bytes."""

    __slots__ = ()
    WRITTEN = "a number with K, M, G or T (1G = 1 GiB, as JupyterHub reads it) or Ki, Mi, Gi, Ti"
    EXAMPLE = "1G"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^\d+(\.\d+)?[KMGT]?i?$"}

    @classmethod
    def _read(cls, text: str) -> int:
        return cls._scaled(text, BINARY | {f"{unit}i": size for unit, size in BINARY.items() if unit})

    @property
    def bytes(self) -> int:
        """Exactly."""
        return self.amount

    def jupyterhub(self) -> str:
        """In JupyterHub's grammar; canonical: the largest unit that needs at most one decimal, else exactly in K."""
        text = _largest(self.amount, BINARY)
        return text if text[-1].isalpha() else f"{(Decimal(self.amount) / BINARY['K']).normalize():f}K"

    def kubernetes(self) -> str:
        """As a Kubernetes quantity of the same number of bytes."""
        text = _largest(self.amount, BINARY)
        return f"{text}i" if text[-1].isalpha() else text

    def __str__(self) -> str:
        return _largest(self.amount, BINARY)


class Capacity(Quantity):
    """Bytes of a volume, as Kubernetes means them: `5Gi` is 1024-based, `5G` is 1000-based."""

    __slots__ = ()
    WRITTEN = "a Kubernetes quantity: a number with Ki, Mi, Gi, Ti (1024-based) or k, M, G, T (1000-based)"
    EXAMPLE = "5Gi"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^\d+(\.\d+)?([KMGT]i|[kMGT])?$"}

    @classmethod
    def _read(cls, text: str) -> int:
        return cls._scaled(text, DECIMAL | {f"{unit}i": size for unit, size in BINARY.items() if unit})

    @property
    def bytes(self) -> int:
        """Exactly."""
        return self.amount

    def __str__(self) -> str:
        binary, decimal = _largest(self.amount, BINARY), _largest(self.amount, DECIMAL)
        if len(decimal) < len(binary):
            return decimal
        return f"{binary}i" if binary[-1].isalpha() else binary


class ImageSize(Quantity):
    """Bytes of a container image, written as registries show it: `4GB` is 1000-based."""

    __slots__ = ()
    WRITTEN = "a number with MB or GB (1000-based), or Mi or Gi"
    EXAMPLE = "4GB"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^\d+(\.\d+)? ?(B|MB|GB|Mi|Gi)$"}

    @classmethod
    def _read(cls, text: str) -> int:
        return cls._scaled(text, {"B": 1, "MB": 10**6, "GB": 10**9, "Mi": 1 << 20, "Gi": 1 << 30})

    @property
    def bytes(self) -> int:
        """Exactly."""
        return self.amount

    def __str__(self) -> str:
        return f"{_largest(self.amount, {'': 1, 'M': 10**6, 'G': 10**9})}B"


class Cpu(Quantity):
    """Thousandths of a core. A plain number counts cores; text counts thousandths and ends in `m`."""

    __slots__ = ()
    WRITTEN = "a number of cores without quotes, or thousandths of a core with m"
    EXAMPLE = "1.5 or 500m"
    SCHEMA: ClassVar[dict[str, Any]] = {
        "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^\d+m$"}]
    }

    @classmethod
    def parse(cls, value: object) -> Self:
        """From a file or message: 1, 1.5 or "500m". Raises the error of `refuse`."""
        if isinstance(value, bool) or not isinstance(value, int | float):
            return super().parse(value)
        millis = value * 1000
        if not 0 <= millis <= LARGEST:  # also NaN, which compares as false
            raise cls._wrong(f"{value} is not a number of cores")
        if millis != int(millis) and abs(millis - round(millis)) > 1e-6:  # noqa: PLR2004 (1.1 * 1000 is not 1100)
            raise cls._wrong(f"{value} has parts smaller than a thousandth of a core")
        return cls(round(millis))

    @classmethod
    def _read(cls, text: str) -> int:
        if re.fullmatch(r"\d{1,18}m", text, re.ASCII):
            return int(text[:-1])
        if re.fullmatch(r"\d+(\.\d+)?", text, re.ASCII):
            raise refuse(f"the number {text} is given as text", "a number without quotes", text)
        raise cls._wrong(f"{text!r} is not a number of cores")

    @property
    def millis(self) -> int:
        """Thousandths of a core."""
        return self.amount

    @property
    def cores(self) -> float:
        """As JupyterHub wants it."""
        return self.amount / 1000

    def __str__(self) -> str:
        return f"{self.amount}m"


SECONDS = {
    "s": 1, "second": 1, "seconds": 1, "m": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
}  # fmt: skip


class Duration(Quantity):
    """Whole seconds."""

    __slots__ = ()
    WRITTEN = "a whole number with s, m, h or d (days)"
    EXAMPLE = "15m"
    SCHEMA: ClassVar[dict[str, Any]] = {"type": "string", "pattern": r"^\d+ ?(s|m|h|d|(second|minute|hour|day)s?)$"}

    @classmethod
    def _read(cls, text: str) -> int:
        if "." in text:
            raise cls._wrong(f"{text!r} is not a whole number with a unit")
        return cls._scaled(text, SECONDS)

    @property
    def seconds(self) -> int:
        """Exactly."""
        return self.amount

    def __str__(self) -> str:
        for unit in ("d", "h", "m"):
            if self.amount and self.amount % SECONDS[unit] == 0:
                return f"{self.amount // SECONDS[unit]}{unit}"
        return f"{self.amount}s"


def _largest(amount: int, units: dict[str, int]) -> str:
    """`amount` in the largest unit in which it is at least 1 and needs at most one decimal."""
    for unit, size in sorted(units.items(), key=lambda item: -item[1]):
        if amount >= size and amount * 10 % size == 0:
            whole, tenth = divmod(amount * 10 // size, 10)
            return f"{whole}.{tenth}{unit}" if tenth else f"{whole}{unit}"
    return str(amount)


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"the number {value}"
    return {dict: "a mapping", list: "a list", type(None): "null"}.get(type(value), "this")
