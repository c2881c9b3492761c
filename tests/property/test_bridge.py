"""Models and messages are twins: same fields, same optionality, nothing lost or added on the way over and back."""

from __future__ import annotations

from datetime import UTC
from types import NoneType
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import given
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


def differences(model: type[BaseModel], message: Any, model_only: frozenset[str] = frozenset()) -> list[str]:
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
    return [] if field.is_repeated else _scalar_differences(field, types, where, nullable=nullable)


def _scalar_differences(field: FieldDescriptor, types: set[str], where: str, *, nullable: bool) -> list[str]:
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
    since=st.none() | st.datetimes(timezones=st.just(UTC)),
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


def test_an_absent_field_is_none_and_not_the_default_of_the_model() -> None:
    class Contacts(Model):
        instructor: str
        support: str | None = "help-desk"

    sent = to_message(Contacts(instructor="ada", support=None), classroom_pb2.ClassroomSpec.Contacts)
    assert from_message(sent, Contacts).support is None


def test_a_newer_peers_unknown_field_is_left_out() -> None:
    newer = types_pb2.RegisterId.FromString(
        types_pb2.RegisterId(uuid="u", era=2).SerializeToString() + b"\x9a\x06\x01x"  # field 99, text
    )
    assert from_message(newer, RegisterId) == RegisterId(uuid="u", era=2)


def test_what_is_wrong_is_named_field_by_field() -> None:
    message = types_pb2.Condition(type="Fine", status="Perhaps", reason="r")
    with pytest.raises(InvalidRequest, match=r"type: .*status: "):
        from_message(message, Condition)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(1 - 2**53, 2**53 - 1) | words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), inner, max_size=3)
    ),
    max_leaves=8,
)
options = st.dictionaries(st.sampled_from(["allowed_idps", "scope", "enable"]), json_values, max_size=3)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


memory = st.fixed_dictionaries(
    {"guarantee": st.sampled_from(["512M", "1G"]), "limit": st.sampled_from(["1.5G", "2Gi"])}
)
cpu = st.fixed_dictionaries({"guarantee": st.sampled_from(["500m", 1]), "limit": st.sampled_from([1.5, "2000m"])})
meeting = st.one_of(
    st.just({"weekly": {"days": ["thu", "tue"], "at": "14:30", "minutes": 120}}),
    st.just({"once": {"date": "2026-09-15", "at": "09:00", "minutes": 240}, "exam": True}),
    st.builds(
        lambda more: {"ical": "https://calendar.example.edu/atm101.ics", **more},
        optional(attend=st.integers(1, 25), ramp=st.just("10m"), warm=st.just("1h")),
    ),
)
specs = st.fixed_dictionaries(
    {
        "term": st.just({"start": "2026-08-24", "end": "2026-12-18", "timezone": "America/Chicago"}),
        "contacts": st.builds(lambda more: {"instructor": "Prof. Ærø", **more}, optional(support=st.just("desk"))),
        "roster": st.builds(
            lambda users: {"expected": 25, "admins": ["prof"], "users": users},
            st.lists(st.from_regex(r"s[0-9]{2}", fullmatch=True), unique=True, max_size=5),
        ),
        "auth": st.builds(lambda given: {"type": "cilogon", "secret": "oauth-atm101", "options": given}, options),
        "image": st.builds(
            lambda more: {"name": "unidata/uwd25f", "tag": "2026-08-20", **more},
            optional(
                sidecars=st.just([{"name": "idv", "image": "unidata/idv:1", "ports": [6080]}]),
                profiles_env=st.just({"DEPTH": "1"}),
                pull_secret=st.just("registry"),
            ),
        ),
        "dns": st.just({"host": "atm101.hubs.example.edu", "aliases": ["atm101-iu.hubs.example.edu"]}),
    },
    optional={
        "meetings": st.lists(meeting, max_size=3),
        "content": st.just([{"git": "https://example.edu/course.git", "dir": "course"}]),
        "resources": optional(
            memory=memory,
            cpu=cpu,
            gpu=st.just({"count": 1, "kind": "g3.small"}),
            profiles=st.just([{"name": "a", "default": True, "share": 0.75}, {"name": "b", "share": 0.25}]),
        ),
        "storage": optional(
            capacity=st.sampled_from(["5Gi", "10G"]),
            storage_class=st.just("ceph-block"),
            shared=st.just([{"name": "course", "path": "/data", "read_only": False}]),
            protect=optional(every=st.just("30m")),
        ),
        "placement": optional(prefer=st.just("iu"), max_nodes=st.integers(1, 9), allow=st.just(["iu", "tacc"])),
        "budget": optional(su_total=st.integers(1, 10_000), alarm_at=st.floats(0.01, 1)),
        "limits": optional(active_servers=st.integers(1, 300), max_age=st.just(0)),
        "overrides": st.builds(lambda given: {"values": given}, options),
    },
)


@given(specs)
def test_a_classroom_comes_back_as_it_went(given_spec: dict[str, Any]) -> None:
    spec = ClassroomSpec.model_validate(given_spec)
    sent = to_message(spec, classroom_pb2.ClassroomSpec).SerializeToString()
    assert from_message(classroom_pb2.ClassroomSpec.FromString(sent), ClassroomSpec) == spec


@given(specs)
def test_every_section_of_a_classroom_is_on_the_wire(given_spec: dict[str, Any]) -> None:
    spec = ClassroomSpec.model_validate(given_spec)
    sections = {name for name, value in spec if value != ()}
    message = to_message(spec, classroom_pb2.ClassroomSpec)
    assert {field.name for field, _value in message.ListFields()} == sections
