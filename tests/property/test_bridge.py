"""Models and messages are twins: same fields, same optionality, and nothing is lost or added on the way over and back."""

from __future__ import annotations

from pathlib import Path
from types import NoneType
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from federation.api.v1 import classroom_pb2, types_pb2
from federation.model.classroom import ClassroomSpec
from federation.model.errors import InvalidRequest
from federation.model.identity import Epoch, RegisterId
from federation.model.placing import Assignment, Verdict
from federation.model.schema import Model
from federation.model.status import Condition, ConditionType, Truth
from federation.runtime.bridge import TWINS, Twin, from_message, nested_model, to_message

JSON_TYPE = {
    FieldDescriptor.CPPTYPE_STRING: {"string"},
    FieldDescriptor.CPPTYPE_BOOL: {"boolean"},
    FieldDescriptor.CPPTYPE_INT32: {"integer"},
    FieldDescriptor.CPPTYPE_INT64: {"integer"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"number"},
}


def json_types(annotation: Any) -> set[str]:
    """The JSON types as which a model's field travels, without null."""
    schema = TypeAdapter(annotation).json_schema(mode="serialization")
    definitions = schema.get("$defs", {})
    found: set[str] = set()

    def walk(part: dict[str, Any]) -> None:
        if "$ref" in part:
            walk(definitions[part["$ref"].rpartition("/")[2]])
        for option in part.get("anyOf", ()):
            walk(option)
        kind = part.get("type")
        if kind is not None:
            found.add(kind)

    walk(schema)
    return found - {"null"}


def differences(model: type[BaseModel], message: Descriptor, model_only: frozenset[str] = frozenset()) -> list[str]:
    """Everything in which a model and a message disagree, as `Message.field: what`."""
    fields = {name: info for name, info in model.model_fields.items() if name not in model_only}
    found = [f"{message.name}.{name}: only in the model" for name in fields.keys() - set(message.fields_by_name)]
    found += [f"{message.name}.{name}: only in the message" for name in set(message.fields_by_name) - fields.keys()]
    for field in message.fields:
        if field.name in fields:
            found += _field_differences(field, fields[field.name].annotation, f"{message.name}.{field.name}")
    return found


def _field_differences(field: FieldDescriptor, annotation: Any, where: str) -> list[str]:
    nullable = NoneType in getattr(annotation, "__args__", ())
    types = json_types(annotation)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return [] if types == {"object"} else [f"{where}: a map, but the model has {types}"]
    if field.is_repeated:
        if types != {"array"}:
            return [f"{where}: repeated, but the model has {types}"]
    elif "array" in types:
        return [f"{where}: not repeated, but the model has an array"]
    if field.message_type is not None:
        if field.message_type.full_name == "google.protobuf.Struct":
            return [] if types == {"object"} else [f"{where}: a Struct, but the model has {types}"]
        nested = nested_model(annotation)
        return differences(nested, field.message_type) if nested else [f"{where}: a message, but the model has none"]
    if not field.is_repeated:
        if field.has_presence and not nullable:
            return [f"{where}: optional in the message only"]
        if nullable and not field.has_presence and types != {"string"}:
            return [f"{where}: may be None in the model, which the message cannot say"]
        if not types & JSON_TYPE[field.cpp_type]:
            return [f"{where}: {types} in the model, {JSON_TYPE[field.cpp_type]} in the message"]
    return []


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.model.__name__)
def test_twins_have_the_same_fields(twin: Twin) -> None:
    assert differences(twin.model, twin.message.DESCRIPTOR, twin.model_only) == []


@pytest.mark.parametrize(
    ("model", "message", "said"),
    [
        (Verdict, types_pb2.Epoch, "Epoch.site: only in the model"),
        (Epoch, types_pb2.RegisterId, "RegisterId.uuid: only in the message"),
    ],
)
def test_the_comparison_itself_sees_a_difference(model: type[Model], message: type[Message], said: str) -> None:
    assert said in differences(model, message.DESCRIPTOR)


def test_the_comparison_sees_types_repetition_and_optionality() -> None:
    class Shifted(Model):
        type: int
        status: tuple[str, ...]
        reason: str
        message: int | None = None
        since: str

    found = differences(Shifted, types_pb2.Condition.DESCRIPTOR)
    assert [line.partition(":")[0] for line in found] == ["Condition.type", "Condition.status", "Condition.message"]


epochs = st.builds(Epoch, era=st.integers(0, 2**31 - 1), n=st.integers(0, 2**31 - 1))
words = st.text(max_size=40)
conditions = st.builds(
    Condition,
    type=st.sampled_from(ConditionType),
    status=st.sampled_from(Truth),
    reason=words,
    message=words,
    since=st.none() | st.datetimes(timezones=st.timezones()).filter(lambda t: t.utcoffset() is not None),
)
verdicts = st.builds(Verdict, site=words, fits=st.booleans(), reason=words, score=st.integers(-100, 100))


@given(epochs)
def test_an_epoch_comes_back_as_it_went(epoch: Epoch) -> None:
    assert from_message(to_message(epoch, types_pb2.Epoch), Epoch) == epoch


@given(conditions)
def test_a_condition_comes_back_as_it_went(condition: Condition) -> None:
    back = from_message(to_message(condition, types_pb2.Condition), Condition)
    assert back == condition
    assert (back.since is None) == (condition.since is None)


@given(st.lists(verdicts, max_size=5), st.none() | st.text(min_size=1, max_size=10))
def test_an_assignment_comes_back_when_the_fields_that_do_not_travel_are_given(
    found: list[Verdict], standby: str | None
) -> None:
    sent = Assignment(hub="h-1", site="iu", standby=standby, reason="r", verdicts=tuple(found), generation=3)
    assert from_message(to_message(sent, types_pb2.Assignment), Assignment, hub="h-1", generation=3) == sent


def test_a_newer_peers_unknown_field_is_left_out() -> None:
    newer = types_pb2.RegisterId.FromString(
        types_pb2.RegisterId(uuid="u", era=2).SerializeToString() + b"\x9a\x06\x01x"  # field 99, text
    )
    assert from_message(newer, RegisterId) == RegisterId(uuid="u", era=2)


def test_what_is_wrong_is_named_field_by_field() -> None:
    message = types_pb2.Condition(type="Fine", status="Perhaps", reason="r")
    with pytest.raises(InvalidRequest, match="type: .*status: "):
        from_message(message, Condition)
