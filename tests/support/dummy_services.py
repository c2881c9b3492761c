"""A coordinator's server whose every RPC succeeds: what is refused was refused by the guard in front of it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

import federation.api.v1 as api
from federation.coordinator.rights import RIGHTS
from federation.runtime.access import AccessCheck, Role
from federation.runtime.grpc_server import ControlServer, build_server
from tests.support.certificates import Certificates

ROLES: dict[str, set[str]] = {
    "ada": {Role.ADMIN},
    "olga": {Role.OPERATOR},
    "vic": {Role.VIEWER},
    "mallory": {"agent", "coordinator", "anyone"},  # roles that a document cannot give
}


def our_methods() -> dict[str, MethodDescriptor]:
    """Every RPC of every proto file of ours: a new file is found by itself."""
    found = {}
    for module in pkgutil.iter_modules(api.__path__, f"{api.__name__}."):
        if module.name.endswith("_pb2"):
            found.update(_methods(importlib.import_module(module.name).DESCRIPTOR))
    return found


def all_methods() -> dict[str, MethodDescriptor]:
    """Also health and reflection."""
    return {**our_methods(), **_methods(health_pb2.DESCRIPTOR), **_methods(reflection_pb2.DESCRIPTOR)}


def _methods(file: Any) -> dict[str, MethodDescriptor]:
    return {
        f"/{service.full_name}/{method.name}": method
        for service in file.services_by_name.values()
        for method in service.methods
    }


def request_of(method: MethodDescriptor, site: str = "iu", uid: str = "u1") -> Message:
    """A request that the guard lets pass for the agent of this site."""
    request: Any = GetMessageClass(method.input_type)()
    if method.name in ("Hello", "Renew"):
        request.site, request.uid = site, uid
    if method.name == "Session":
        request.open.site, request.open.uid = site, uid
    return request  # type: ignore[no-any-return]


Answers = Callable[[Any, Any], Any]


def _handler(method: MethodDescriptor, special: Answers | None) -> Any:
    """Answers with an empty message, a stream with one after its first request."""
    answer = GetMessageClass(method.output_type)

    async def one(asked: Any, context: Any) -> Message:
        return answer()

    async def many(asked: Any, context: Any) -> AsyncIterator[Message]:
        if method.client_streaming:
            await anext(asked)
        yield answer()

    behaviour = special or (many if method.server_streaming else one)
    kinds: dict[tuple[bool, bool], Callable[..., Any]] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    return kinds[method.client_streaming, method.server_streaming](
        behaviour,
        request_deserializer=GetMessageClass(method.input_type).FromString,
        response_serializer=answer.SerializeToString,
    )


@asynccontextmanager
async def dummy_server(
    certificates: Certificates,
    *,
    register: Callable[[], str | None] | None = None,
    default_deadline_s: float = 5.0,
    special: dict[str, Answers] | None = None,
) -> AsyncIterator[ControlServer]:
    """Runs on a free port of the loopback. `special` replaces the behaviour of methods by their short name."""
    access = AccessCheck(RIGHTS, register or (lambda: certificates.register), lambda user: ROLES.get(user, set()))
    server = build_server("127.0.0.1:0", certificates.coordinator(), access, default_deadline_s=default_deadline_s)
    services: dict[str, dict[str, Any]] = {}
    for path, method in our_methods().items():
        _, service, name = path.split("/")
        services.setdefault(service, {})[name] = _handler(method, (special or {}).get(name))
    for service, handlers in services.items():
        server.grpc.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    await server.start()
    try:
        yield server
    finally:
        await server.stop(grace_s=0.5)
