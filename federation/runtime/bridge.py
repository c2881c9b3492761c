"""One generic bridge between the models and their wire twins: fields of the same name, converted by reflection.

What a pair has to convert is worked out once and kept. Pairs and their few agreed differences stand in `TWINS`; a test
compares every pair field by field, so that a field that only one side knows is found before it is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from google.protobuf import struct_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from pydantic import BaseModel, ValidationError

from federation.api.v1 import agent_pb2, types_pb2
from federation.api.v1.classroom_pb2 import ClassroomSpec as ClassroomSpecMessage
from federation.model.classroom import ClassroomSpec
from federation.model.errors import InvalidRequest
from federation.model.identity import Epoch, Member, RegisterId
from federation.model.placing import Assignment, Verdict
from federation.model.preparation import PreparePlan, PrepareStep
from federation.model.schema import Model
from federation.model.status import Condition, RosterEntry

P = TypeVar("P", bound=Message)
M = TypeVar("M", bound=Model)

MOST_FINDINGS = 20
_EXACT = 1 << 53  # beyond it a double is no exact whole number


@dataclass(frozen=True, slots=True)
class Twin:
    """A model and its message. `model_only` fields do not travel; the receiver fills them in from elsewhere."""

    model: type[Model]
    message: type[Message]
    model_only: frozenset[str] = frozenset()


TWINS: tuple[Twin, ...] = (
    Twin(ClassroomSpec, ClassroomSpecMessage),
    Twin(Epoch, types_pb2.Epoch),
    Twin(RegisterId, types_pb2.RegisterId),
    Twin(Condition, types_pb2.Condition),
    Twin(Verdict, types_pb2.Verdict),
    Twin(Assignment, types_pb2.Assignment, frozenset({"hub", "generation"})),
    Twin(Member, agent_pb2.Member, frozenset({"since"})),
    Twin(RosterEntry, agent_pb2.RosterEntry),
    Twin(PreparePlan, types_pb2.PreparePlan),
    Twin(PrepareStep, types_pb2.PrepareStep),
)
_MODEL_ONLY: Mapping[type[Model], frozenset[str]] = {twin.model: twin.model_only for twin in TWINS}


def to_message(model: Model, kind: type[P]) -> P:
    """The model as a message. None travels as an absent field (in text fields that are always present: as empty)."""
    unsent = _MODEL_ONLY.get(type(model), frozenset())
    return kind(**model.model_dump(mode="json", exclude=set(unsent) or None))


def from_message(message: Message, kind: type[M], **more: Any) -> M:
    """The message as a model, validated; `more` fills fields that do not travel.

    Raises InvalidRequest that names every field that is wrong: the peer may be older, or hostile.
    """
    try:
        return kind.model_validate({**_reader(kind, message.DESCRIPTOR)(message), **more}, by_alias=False, by_name=True)
    except ValidationError as error:
        raise InvalidRequest(_findings(message.DESCRIPTOR.name, error)) from error


Reader = Callable[[Any], dict[str, Any]]


@lru_cache(maxsize=512)
def _reader(kind: type[BaseModel], descriptor: Descriptor) -> Reader:
    """Reads a message into the fields of a model; worked out once per pair."""
    steps: list[tuple[str, bool, Callable[[Any], Any] | None, bool, bool]] = []
    for field in descriptor.fields:
        info = kind.model_fields.get(field.name)
        if info is None:
            continue  # a newer peer's field: unknown here, and absent from what we keep
        nullable = NoneType in _options(info.annotation)
        empty_is_none = nullable and not field.has_presence and not field.is_repeated
        steps.append((field.name, field.has_presence, _converter(field, info.annotation), nullable, empty_is_none))

    def read(message: Any) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for name, presence, convert, nullable, empty_is_none in steps:
            if presence and not message.HasField(name):
                if nullable:  # absent is None and not the model's default
                    fields[name] = None
                continue
            value = getattr(message, name)
            if empty_is_none and not value:
                fields[name] = None
            else:
                fields[name] = value if convert is None else convert(value)
        return fields

    return read


def _converter(field: FieldDescriptor, annotation: Any) -> Callable[[Any], Any] | None:
    """From what a message holds to what a model validates; None if that is the same."""
    target = field.message_type
    if target is not None and target.GetOptions().map_entry:
        return dict
    if target is None:
        return list if field.is_repeated else None
    if target.full_name == struct_pb2.Struct.DESCRIPTOR.full_name:
        return _struct
    nested = nested_model(annotation)
    if nested is None:
        raise TypeError(f"{field.full_name} is a message, but {annotation} is no model")
    read = _reader(nested, target)
    return (lambda values: [read(value) for value in values]) if field.is_repeated else read


def nested_model(annotation: Any) -> type[BaseModel] | None:
    """The model inside an annotation such as `tuple[Verdict, ...]` or `Term | None`; None if there is not just one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = {model for inner in get_args(annotation) if (model := nested_model(inner)) is not None}
    return found.pop() if len(found) == 1 else None


def _options(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def _struct(value: struct_pb2.Struct) -> dict[str, Any]:
    return {key: _plain(inner) for key, inner in value.fields.items()}


def _plain(value: struct_pb2.Value) -> Any:
    """JSON has one kind of number: whole ones become int again, as the file had them."""
    match value.WhichOneof("kind"):
        case "struct_value":
            return _struct(value.struct_value)
        case "list_value":
            return [_plain(inner) for inner in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < _EXACT else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _findings(name: str, error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"{'.'.join(map(str, e['loc'])) or name}: {e['msg']}" for e in problems[:MOST_FINDINGS]]
    if len(problems) > MOST_FINDINGS:
        lines.append(f"and {len(problems) - MOST_FINDINGS} more")
    return f"{name} is not valid: " + "; ".join(lines)
