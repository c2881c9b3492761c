"""The wire: generated code is current, and every change since the recorded form is one that old peers can live with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "proto" / "recorded.binpb"
GENERATED = Path("federation/api/v1")


def test_generated_code_is_current(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "proto", tmp_path], check=True, timeout=60)
    fresh = {path.name: path.read_bytes() for path in (tmp_path / GENERATED).glob("*_pb2*")}
    committed = {path.name: path.read_bytes() for path in (ROOT / GENERATED).glob("*_pb2*")}
    assert fresh.keys() == committed.keys(), "run scripts/proto"
    assert [name for name in fresh if fresh[name] != committed[name]] == [], "run scripts/proto"


def test_the_wire_is_compatible_with_its_recorded_form(tmp_path: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={ROOT / 'proto'}"),
            f"--descriptor_set_out={tmp_path / 'now.binpb'}",
            *sorted((ROOT / "proto" / GENERATED).glob("*.proto")),
        ],
        check=True,
        timeout=60,
    )
    now = FileDescriptorSet.FromString((tmp_path / "now.binpb").read_bytes())
    assert breaks(FileDescriptorSet.FromString(RECORDED.read_bytes()), now) == [], (
        "old peers would misread this; before the first release of v1 `scripts/proto --record` may take it as given"
    )


def breaks(before: FileDescriptorSet, after: FileDescriptorSet) -> list[str]:
    """What of `before` a peer that still uses it would misread in `after`. Additions are fine."""
    old_messages, new_messages = _messages(before), _messages(after)
    found = [f"message {name} is gone" for name in old_messages.keys() - new_messages.keys()]
    for name in old_messages.keys() & new_messages.keys():
        found += _message_breaks(name, old_messages[name], new_messages[name])
    old_calls, new_calls = _calls(before), _calls(after)
    found += [f"rpc {path} is gone or changed" for path, form in old_calls.items() if new_calls.get(path) != form]
    return sorted(found)


def _message_breaks(name: str, old: DescriptorProto, new: DescriptorProto) -> list[str]:
    by_number = {field.number: field for field in new.field}
    reserved_numbers = {number for span in new.reserved_range for number in range(span.start, span.end)}
    found = []
    for field in old.field:
        now = by_number.get(field.number)
        if now is None:
            if field.number not in reserved_numbers or field.name not in new.reserved_name:
                found.append(f"{name}.{field.name}: removed, but name and number {field.number} are not reserved")
        elif _form(old, field) != _form(new, now):
            found.append(f"{name}.{field.name}: number {field.number} means something else now")
    return found


def _form(message: DescriptorProto, field: FieldDescriptorProto) -> tuple[object, ...]:
    oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else ""
    return (field.name, field.type, field.type_name, field.label, field.proto3_optional, oneof)


def _messages(files: FileDescriptorSet) -> dict[str, DescriptorProto]:
    found: dict[str, DescriptorProto] = {}

    def walk(prefix: str, messages: list[DescriptorProto]) -> None:
        for message in messages:
            found[f"{prefix}.{message.name}"] = message
            walk(f"{prefix}.{message.name}", list(message.nested_type))

    for file in files.file:
        walk(file.package, list(file.message_type))
    return found


def _calls(files: FileDescriptorSet) -> dict[str, tuple[object, ...]]:
    return {
        f"{file.package}.{service.name}/{method.name}": (
            method.input_type,
            method.output_type,
            method.client_streaming,
            method.server_streaming,
        )
        for file in files.file
        for service in file.service
        for method in service.method
    }


def _example() -> FileDescriptorSet:
    file = FileDescriptorProto(name="x.proto", package="x")
    message = file.message_type.add(name="M")
    message.field.add(name="a", number=1, type=FieldDescriptorProto.TYPE_STRING, label=1)
    message.field.add(name="b", number=2, type=FieldDescriptorProto.TYPE_INT32, label=1)
    file.service.add(name="S").method.add(name="Do", input_type=".x.M", output_type=".x.M")
    return FileDescriptorSet(file=[file])


def _drop_and_reserve(file: FileDescriptorProto) -> None:
    message = file.message_type[0]
    del message.field[1]
    message.reserved_name.append("b")
    message.reserved_range.add(start=2, end=3)


def _set(name: str, value: object) -> Callable[[FileDescriptorProto], None]:
    return lambda file: setattr(file.message_type[0].field[1], name, value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file.message_type[0].field.add(name="c", number=3, type=9, label=1), []),
        (lambda file: file.message_type.add(name="N"), []),
        (_drop_and_reserve, []),
        (lambda file: file.message_type[0].field.pop(), ["x.M.b: removed, but name and number 2 are not reserved"]),
        (_set("number", 3), ["x.M.b: removed, but name and number 2 are not reserved"]),
        (_set("name", "renamed"), ["x.M.b: number 2 means something else now"]),
        (_set("type", FieldDescriptorProto.TYPE_STRING), ["x.M.b: number 2 means something else now"]),
        (_set("label", 3), ["x.M.b: number 2 means something else now"]),
        (lambda file: file.message_type.pop(), ["message x.M is gone"]),
        (lambda file: file.service[0].method.pop(), ["rpc x.S/Do is gone or changed"]),
        (
            lambda file: setattr(file.service[0].method[0], "server_streaming", True),
            ["rpc x.S/Do is gone or changed"],
        ),
    ],
)
def test_the_comparison_tells_additions_from_breaks(
    change: Callable[[FileDescriptorProto], object], said: list[str]
) -> None:
    after = _example()
    change(after.file[0])
    assert breaks(_example(), after) == said
