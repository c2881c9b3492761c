"""Every RPC with every kind of caller, over real mutual TLS: who may call what is what this table says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.message_factory import GetMessageClass

from federation.coordinator.rights import RIGHTS
from federation.model.errors import Denied, FederationError, InvalidRequest, Unavailable
from federation.runtime.access import Role
from federation.runtime.grpc_client import Channels, call, first, open_channel, stream
from federation.runtime.tls import TlsFiles
from tests.support.certificates import OTHER_REGISTER, Certificates
from tests.support.dummy_services import all_methods, dummy_server, request_of

AGENT_RPCS = {"Hello", "Renew", "Session"}
READING = {"Plan", "Get", "List", "Describe", "Watch", "WatchOperation", "Events", "ListSites", "Status", "ListHomes"}
READING |= {"ListHooks", "Readiness", "ListDrills", "RegisterStatus"}
RUNNING = {"Place", "Retire", "Restore", "SetSecret", "ListSecrets", "RemoveSecret", "Logs", "SetPause", "RestoreHome"}
RUNNING |= {"Move", "CancelMove", "Failover", "SetCordon", "Drill", "CancelDrill"}
CHANGING = {"JoinSite", "RecoverRegister", "PrepareSite", "TestHooks"}
NOT_SERVED = {"health.List", "Ask"}  # gRPC's health service does not have the one, only agents have the other: no row
FOR_ALL = {"health.Check", "health.Watch", "reflection.ServerReflectionInfo"}

ALLOWED: dict[str, set[str]] = {
    "admin": READING | RUNNING | CHANGING | FOR_ALL,
    "operator": READING | RUNNING | FOR_ALL,
    "viewer": READING | FOR_ALL,
    "coordinator": READING | {"Logs", "ServerTest"} | FOR_ALL,
    "agent of the site": AGENT_RPCS | FOR_ALL,
    "agent of another site": FOR_ALL,
    "agent of the site under an earlier uid": FOR_ALL,
    "user without a role": FOR_ALL,
    "user whose roles are those of agents and coordinators": FOR_ALL,
    "admin of another federation": set(),
    "certificate without a name": set(),
    "certificate of another CA": set(),
    "nobody: no certificate": set(),
}


FILES: dict[str, Callable[[Certificates], TlsFiles]] = {
    "admin": lambda ours: ours.user("ada"),
    "operator": lambda ours: ours.user("olga"),
    "viewer": lambda ours: ours.user("vic"),
    "coordinator": lambda ours: ours.coordinator("c2"),
    "agent of the site": lambda ours: ours.agent("iu", "u1"),
    "agent of another site": lambda ours: ours.agent("tacc", "u2"),
    "agent of the site under an earlier uid": lambda ours: ours.agent("iu", "u0"),
    "user without a role": lambda ours: ours.user("eve"),
    "user whose roles are those of agents and coordinators": lambda ours: ours.user("mallory"),
    "admin of another federation": lambda ours: ours.user("ada", OTHER_REGISTER),
    "certificate without a name": lambda ours: ours.issue("nameless", hosts=("localhost",)),
}


def channel_of(caller: str, address: str, ours: Certificates, theirs: Certificates) -> grpc.aio.Channel:
    trusted = ours.coordinator().ca
    if caller == "nobody: no certificate":
        return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(trusted.read_bytes()))
    if caller == "certificate of another CA":
        admin = theirs.user("ada")
        return open_channel(address, TlsFiles(ca=trusted, cert=admin.cert, key=admin.key))
    return open_channel(address, FILES[caller](ours))


async def attempt(channel: grpc.aio.Channel, path: str, method: Any, request: Any) -> str:
    """How one call ended: ok, or the name of the error."""
    codec: dict[str, Any] = {
        "request_serializer": GetMessageClass(method.input_type).SerializeToString,
        "response_deserializer": GetMessageClass(method.output_type).FromString,
    }
    try:
        if not method.server_streaming:
            await call(channel.unary_unary(path, **codec), request, timeout_s=5)
        elif method.client_streaming:
            await first(stream(channel.stream_stream(path, **codec), sending(request), timeout_s=5))
        else:
            await first(stream(channel.unary_stream(path, **codec), request, timeout_s=5))
    except FederationError as error:
        return type(error).__name__
    return "ok"


async def sending(*messages: Any) -> AsyncIterator[Any]:
    for message in messages:
        yield message


def short(path: str) -> str:
    service, name = path.split("/")[1:]
    return name if service.startswith("federation.") else f"{service.split('.')[1]}.{name}"


def test_every_rpc_has_a_row_and_every_row_an_rpc() -> None:
    assert {short(path) for path in all_methods()} - {short(path) for path in RIGHTS} == NOT_SERVED
    assert RIGHTS.keys() <= all_methods().keys()


def test_no_row_gives_a_right_to_nobody_in_particular() -> None:
    assert {short(path) for path, right in RIGHTS.items() if Role.ANYONE in right.roles} == FOR_ALL
    assert all(right.roles for right in RIGHTS.values())


@pytest.mark.parametrize("caller", ALLOWED)
async def test_a_caller_may_do_what_the_table_says_and_nothing_else(caller: str, tmp_path: Path) -> None:
    ours, theirs = Certificates(tmp_path / "ours"), Certificates(tmp_path / "theirs")
    async with dummy_server(ours) as server:
        channel = channel_of(caller, f"127.0.0.1:{server.port}", ours, theirs)
        try:
            ended = {
                short(path): await attempt(channel, path, method, request_of(method))
                for path, method in all_methods().items()
            }
        finally:
            await channel.close()
    refused_by_tls = caller in ("certificate of another CA", "nobody: no certificate")
    refusal = Unavailable.__name__ if refused_by_tls else Denied.__name__
    assert ended == {name: "ok" if name in ALLOWED[caller] else refusal for name in ended}


async def test_a_session_speaks_for_one_site_from_its_first_message_to_its_last(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    path, method = next((p, m) for p, m in all_methods().items() if m.name == "Session")
    heard: list[str] = []

    async def session(asked: Any, context: Any) -> AsyncIterator[Any]:
        async for message in asked:
            heard.append(message.WhichOneof("message"))
            yield GetMessageClass(method.output_type)()

    def messages(*kinds: str) -> list[Any]:
        made: Any = [GetMessageClass(method.input_type)() for _ in kinds]
        for message, kind in zip(made, kinds, strict=True):
            if kind == "observed":
                message.observed.at_revision = 1
            else:
                message.open.site, message.open.uid = kind, "u1"
        return list(made)

    async def talk(*kinds: str) -> None:
        async with Channels(certificates.agent("iu", "u1")) as channels:
            channel = channels.to(f"127.0.0.1:{server.port}")
            multi: Any = channel.stream_stream(
                path,
                GetMessageClass(method.input_type).SerializeToString,
                GetMessageClass(method.output_type).FromString,
            )
            async with aclosing(stream(multi, sending(*messages(*kinds)), timeout_s=5)) as answers:
                async for _answer in answers:
                    pass

    async with dummy_server(certificates, special={"Session": session}) as server:
        await talk("iu", "observed")
        assert heard == ["open", "observed"]
        with pytest.raises(InvalidRequest, match="first message must say"):
            await talk("observed")
        with pytest.raises(Denied, match="speaks for site 'tacc'"):
            await talk("iu", "tacc")
        assert heard == ["open", "observed", "open"]


async def test_until_the_register_is_known_only_health_is_served(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    known: list[str | None] = [None]
    async with (
        dummy_server(certificates, register=lambda: known[0]) as server,
        Channels(certificates.user("ada")) as channels,
    ):
        channel = channels.to(f"127.0.0.1:{server.port}")
        methods = {short(path): (path, method) for path, method in all_methods().items()}

        async def ends(name: str) -> str:
            path, method = methods[name]
            return await attempt(channel, path, method, request_of(method))

        assert (await ends("health.Check"), await ends("Get")) == ("ok", "Unavailable")
        known[0] = certificates.register
        assert await ends("Get") == "ok"
        known[0] = OTHER_REGISTER
        assert (await ends("health.Check"), await ends("Get")) == ("Denied", "Denied")
