"""From pydantic's errors to problems that an admin can act on: what is wrong, what is allowed, an example.

Works for every model of the files: descriptions and examples come from the models' own fields. Values below a place
whose name says that a secret may stand there are never repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from federation.model.quantities import Cpu
from federation.model.refusal import REFUSED, Place, Problem, problems_in
from federation.model.scalars import near_miss

SECRET_PLACES = frozenset({"secret", "pull_secret", "options", "values", "profiles_env"})
LONGEST_SHOWN = 60
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_WANTED = {
    "model_type": "a mapping of `key: value` lines",
    "model_attributes_type": "a mapping of `key: value` lines",
    "dict_type": "a mapping of `key: value` lines",
    "tuple_type": "a list",
    "list_type": "a list",
    "string_type": "text",
    "float_type": "a number",
    "finite_number": "a number",
}


def explain(
    error: ValidationError, model: type[BaseModel], texts: Mapping[Place, str] | None = None
) -> tuple[Problem, ...]:
    """Every problem in `error`, which came from validating data against `model`. `texts` says how numbers were written,
    so that a version 4.10 is not shown as 4.1."""
    lines = error.errors()
    meant = {(*line["loc"][:-1], _meant(line, model)) for line in lines if line["type"] == "extra_forbidden"}
    return tuple(
        problem
        for line in lines
        if not (line["type"] == "missing" and line["loc"] in meant)  # one mistake, not two
        for problem in _problems(line, model, texts or {})
    )


def _meant(details: ErrorDetails, model: type[BaseModel]) -> str:
    """The key that an unknown one stands for; empty if none is near."""
    key, parent = str(details["loc"][-1]), model_at(details["loc"][:-1], model)
    known = keys_of(parent) if parent is not None else []
    return near_miss(key, known) or near_miss(key.lower().replace("-", "_"), known)


def _problems(details: ErrorDetails, model: type[BaseModel], texts: Mapping[Place, str]) -> Iterator[Problem]:
    place = tuple(part for part in details["loc"] if part != "[key]")  # pydantic's mark for the key of a mapping
    if details["type"] == REFUSED:
        for problem in problems_in(details.get("ctx")):
            yield problem.below(*place)
        return
    if details["type"] == "extra_forbidden":
        yield _unknown_key(place, model, _meant(details, model))
        return
    if details["type"] == "too_short" and details["input"]:
        return  # it only looks empty because none of its parts is right, and each says why
    field = field_at(place, model)
    written = texts.get(place) or _shown(details["input"])
    hidden = place[-1:] == ("auth",) or any(part in SECRET_PLACES for part in place)
    wrong, allowed = _standard(details, place, field, "the value (not shown)" if hidden else written)
    yield Problem(wrong, allowed, example_of(field) if hidden else _example(field, details, written), place)


def _unknown_key(place: Place, model: type[BaseModel], near: str) -> Problem:
    key, parent = str(place[-1]), model_at(place[:-1], model)
    known = keys_of(parent) if parent is not None else []
    if near:
        return Problem(f"unknown key {key}; did you mean {near}?", _listed(known), near, place)
    elsewhere = [path for path in _paths(model) if path.rpartition(".")[2] == key]
    if elsewhere:
        return Problem(f"unknown key {key} here; it belongs to {elsewhere[0]}", _listed(known), elsewhere[0], place)
    return Problem(f"unknown key {key}", _listed(known), known[0] if known else "remove it", place)


def _standard(details: ErrorDetails, place: Place, field: FieldInfo | None, shown: str) -> tuple[str, str]:
    kind, given = details["type"], details["input"]
    context = details.get("ctx", {})
    about = f" ({field.description.rstrip('.')})" if field is not None and field.description else ""
    if kind == "missing":
        return f"{place[-1]} is missing", f"it must be given{about}"
    if kind in {"too_short", "string_too_short"}:
        return "it is empty", f"at least one{about}"
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return f"{shown} is out of bounds", f"{word} {context.get(key)}"
    return _wrong_type(kind, given, shown, context, details["msg"])


def _wrong_type(kind: str, given: object, shown: str, context: dict[str, Any], message: str) -> tuple[str, str]:
    if kind in {"int_type", "float_type"} and isinstance(given, str) and _is_number(given):
        return f"the number {shown} is given as text", "a number without quotes"
    if kind == "string_type" and isinstance(given, bool | int | float):
        return f"text is wanted, {shown} is not text", "the same in quotes"
    if kind in {"int_type", "int_from_float"}:
        return f"{shown} is not a whole number", "a whole number"
    if kind == "bool_type" and given in ("true", "false"):
        return f"{shown} is given as text", f"{shown} without quotes"
    if kind == "bool_type":
        return f"{shown} is neither true nor false", "true or false, without quotes"
    if kind == "enum":
        return _not_a_choice(given, shown, context)
    if kind == "string_too_long":
        return "the text is too long", f"at most {context.get('max_length')} characters"
    if kind == "string_pattern_mismatch":
        return f"{shown} is not known here", str(context.get("pattern", "")).strip("^$")
    if given is None:
        return "nothing is given", _WANTED.get(kind, message)
    return f"{shown} is not {_WANTED.get(kind, 'allowed here')}", _WANTED.get(kind, message)


def _not_a_choice(given: object, shown: str, context: dict[str, Any]) -> tuple[str, str]:
    allowed = str(context.get("expected", "")).replace("'", "").replace(" or ", ", ")
    near = near_miss(given, allowed.split(", ")) if isinstance(given, str) else ""
    return f"{shown} is not a choice{f'; did you mean {near}?' if near else ''}", f"one of {allowed}"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def _example(field: FieldInfo | None, details: ErrorDetails, written: str) -> str:
    given = details["input"]
    if details["type"] in {"int_type", "float_type"} and isinstance(given, str) and _is_number(given):
        return given
    if details["type"] == "bool_type" and given in ("true", "false"):
        return str(given)
    if details["type"] == "string_type" and isinstance(given, int | float):
        return f'"{written}"'
    return example_of(field)


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit()


def example_of(field: FieldInfo | None) -> str:
    """A value that is right, from the field itself: its example, its default, or a choice."""
    if field is None:
        return "see the reference"
    if field.examples:
        return as_text(field.examples[0])
    choices = choices_of(field.annotation)
    if choices:
        return choices[0]
    if not field.is_required() and field.get_default() is not None:
        return as_text(field.get_default())
    inner = models_in(field.annotation)
    required = [f"{name}: ..." for model in inner for name, part in model.model_fields.items() if part.is_required()]
    return f"{{{', '.join(required)}}}" if required else "see the reference"


def as_text(value: Any) -> str:
    """A value in YAML's one-line form."""
    if isinstance(value, BaseModel):
        return as_text(value.model_dump(mode="json", by_alias=True, exclude_none=True))
    if isinstance(value, Cpu):
        return f"{value.cores:g}"  # as people write it; the canonical form is for programs
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {as_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_text(inner) for inner in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def model_at(place: Place, model: type[BaseModel]) -> type[BaseModel] | None:
    """The model that describes what stands at `place`; None where no model does."""
    here: list[Any] = [model]
    for part in place:
        if isinstance(part, int):
            continue  # a list's items are described by what is in the list's annotation
        here = [
            inner
            for candidate in here
            if (found := field_named(part, candidate)) is not None
            for inner in models_in(found.annotation)
        ]
    return here[0] if here else None


def field_at(place: Place, model: type[BaseModel]) -> FieldInfo | None:
    """The field at `place`, or None."""
    names = [index for index, part in enumerate(place) if isinstance(part, str)]
    if not names:
        return None
    parent = model_at(place[: names[-1]], model)
    return field_named(str(place[names[-1]]), parent) if parent is not None else None


def field_named(key: str, model: type[BaseModel]) -> FieldInfo | None:
    """A field by its name or by what it is called in files."""
    fields = model.model_fields
    return fields.get(key) or next((field for field in fields.values() if field.alias == key), None)


def keys_of(model: type[BaseModel]) -> list[str]:
    """What may be written below, as it is called in files."""
    return [field.alias or name for name, field in model.model_fields.items()]


def choices_of(annotation: Any) -> list[str]:
    """The words of an enumeration, if the annotation holds one."""
    return [str(member.value) for part in _parts(annotation) if _is_enum(part) for member in part]


def _is_enum(part: Any) -> bool:
    return isinstance(part, type) and issubclass(part, Enum)


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that an annotation holds, through lists and optional parts."""
    return [part for part in _parts(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]


def _parts(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) in {Union, UnionType, tuple, list, Annotated}:
        for inner in get_args(annotation):
            yield from _parts(inner)
    elif annotation is not None:
        yield annotation


def _paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for key in keys_of(model):
        yield f"{prefix}{key}"
        field = field_named(key, model)
        for inner in models_in(field.annotation) if field is not None else []:
            yield from _paths(inner, f"{prefix}{key}.")


def _listed(keys: list[str]) -> str:
    return f"known here: {', '.join(keys)}" if keys else "nothing is allowed here"
