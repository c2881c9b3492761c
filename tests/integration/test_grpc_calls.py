"""What a call does on the wire: errors arrive typed, deadlines hold, streams are closed, a stop is quick and polite."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from federation.api.v1 import control_pb2, control_pb2_grpc
from federation.model.errors import (
    Code,
    Conflict,
    DeadlineExceeded,
    FederationError,
    InvalidRequest,
    NotLeader,
    Unavailable,
)
from federation.runtime.access import AccessCheck
from federation.runtime.grpc_client import Channels, call, first, stream
from federation.runtime.grpc_server import ControlServer, build_server, current_principal
from tests.support.certificates import Certificates
from tests.support.dummy_services import Answers, dummy_server


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


def failing(error: Exception) -> Answers:
    async def answer(asked: Any, context: Any) -> Any:
        raise error

    return answer


def failing_stream(error: Exception) -> Answers:
    async def answers(asked: Any, context: Any) -> AsyncIterator[Any]:
        yield control_pb2.WatchResponse(revision=1)
        raise error

    return answers


def stub(channels: Channels, server: ControlServer) -> Any:
    return control_pb2_grpc.ControlServiceStub(channels.to(f"127.0.0.1:{server.port}"))


async def until(seen: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await seen.wait()


async def test_a_servicers_error_arrives_as_it_was_raised(certificates: Certificates) -> None:
    sent = NotLeader("c2 does not lead", help="ask c1", details={"leader": "127.0.0.1:7001"})
    special = {"Get": failing(sent), "Watch": failing_stream(Conflict("lost the race"))}
    async with dummy_server(certificates, special=special) as server, Channels(certificates.user("ada")) as channels:
        with pytest.raises(NotLeader) as got:
            await call(stub(channels, server).Get, control_pb2.GetRequest(name="a"), timeout_s=5)
        error = got.value
        assert (error.message, error.help, error.details, error.definite) == (
            "c2 does not lead",
            "ask c1",
            {"leader": "127.0.0.1:7001"},
            True,
        )
        answers = stream(stub(channels, server).Watch, control_pb2.WatchRequest())
        assert (await anext(answers)).revision == 1
        with pytest.raises(Conflict, match="lost the race"):
            await anext(answers)


async def test_a_very_long_error_arrives_shortened(certificates: Certificates) -> None:
    sent = InvalidRequest("ü" * 50_000, details={"short": "kept", "long": "y" * 50_000})
    async with (
        dummy_server(certificates, special={"Get": failing(sent)}) as server,
        Channels(certificates.user("ada")) as channels,
    ):
        with pytest.raises(InvalidRequest, match=r"^ü+\.\.\.$") as got:
            await call(stub(channels, server).Get, control_pb2.GetRequest(), timeout_s=5)
        assert got.value.details == {"short": "kept"}


async def test_an_unforeseen_failure_tells_the_client_a_number_and_the_log_the_rest(certificates: Certificates) -> None:
    special = {"Get": failing(KeyError("inner detail")), "Watch": failing_stream(RuntimeError("inner detail"))}
    with structlog.testing.capture_logs() as lines:
        async with (
            dummy_server(certificates, special=special) as server,
            Channels(certificates.user("ada")) as channels,
        ):
            for attempt in (
                call(stub(channels, server).Get, control_pb2.GetRequest(), timeout_s=5),
                _drain(stream(stub(channels, server).Watch, control_pb2.WatchRequest())),
            ):
                with pytest.raises(FederationError) as got:
                    await attempt
                assert (got.value.code, got.value.definite) == (Code.INTERNAL, False)
                assert "inner detail" not in got.value.message
                assert got.value.details["number"] in [line.get("number") for line in lines]
    failed = [line for line in lines if line["event"] == "rpc.failed"]
    assert ["inner detail" in str(line["exc_info"]) for line in failed] == [True, True]


async def _drain(answers: AsyncIterator[Any]) -> None:
    async for _answer in answers:
        pass


async def test_a_call_without_a_deadline_gets_the_servers(certificates: Certificates) -> None:
    async def hang(asked: Any, context: Any) -> Any:
        await asyncio.Event().wait()

    async with (
        dummy_server(certificates, special={"Get": hang}, default_deadline_s=0.3) as server,
        Channels(certificates.user("ada")) as channels,
    ):
        get, request = stub(channels, server).Get, control_pb2.GetRequest()
        with pytest.raises(DeadlineExceeded, match=r"not done within 0\.3 s"):
            await call(get, request, timeout_s=None)  # type: ignore[arg-type]
        began = time.monotonic()
        with pytest.raises(DeadlineExceeded, match="no answer in time"):
            await call(get, request, timeout_s=0.8)
        assert time.monotonic() - began > 0.7  # its own deadline held, not the server's


async def test_a_servicer_knows_who_calls(certificates: Certificates) -> None:
    async def get(asked: Any, context: Any) -> control_pb2.GetResponse:
        answer = control_pb2.GetResponse()
        bound = structlog.contextvars.get_contextvars()
        answer.hub.metadata.actor = f"{current_principal().label} {bound['principal']} {bound['rpc']}"
        return answer

    async with dummy_server(certificates, special={"Get": get}) as server:
        for user in ("ada", "vic"):
            async with Channels(certificates.user(user)) as channels:
                answer = await call(stub(channels, server).Get, control_pb2.GetRequest(), timeout_s=5)
                assert answer.hub.metadata.actor == f"user/{user} user/{user} Get"


async def test_a_servicers_stream_is_closed_when_its_client_leaves(certificates: Certificates) -> None:
    closed = asyncio.Event()

    async def watch(asked: Any, context: Any) -> AsyncIterator[Any]:
        try:
            yield control_pb2.WatchResponse(revision=1)
            await asyncio.Event().wait()
        finally:
            closed.set()

    async with (
        dummy_server(certificates, special={"Watch": watch}) as server,
        Channels(certificates.user("ada")) as channels,
    ):
        answers: Any = stream(stub(channels, server).Watch, control_pb2.WatchRequest())
        async with aclosing(answers):
            assert (await anext(answers)).revision == 1
        await until(closed)


async def test_a_stop_ends_streams_at_once_and_lets_short_calls_finish(certificates: Certificates) -> None:
    started, sessions = asyncio.Event(), asyncio.Event()

    async def get(asked: Any, context: Any) -> control_pb2.GetResponse:
        started.set()
        await asyncio.sleep(0.3)
        return control_pb2.GetResponse()

    async def watch(asked: Any, context: Any) -> AsyncIterator[Any]:
        yield control_pb2.WatchResponse(revision=1)
        await asyncio.Event().wait()

    async with (
        dummy_server(certificates, special={"Watch": watch, "Get": get}) as server,
        Channels(certificates.user("ada")) as channels,
    ):
        answers: Any = stream(stub(channels, server).Watch, control_pb2.WatchRequest())
        await anext(answers)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(call(stub(channels, server).Get, control_pb2.GetRequest(), timeout_s=5))
            await until(started)
            began = time.monotonic()
            await server.stop(sessions.set, grace_s=10)
            assert time.monotonic() - began < 5
        assert sessions.is_set()
        assert running.result() == control_pb2.GetResponse()
        with pytest.raises(Unavailable, match="this coordinator stops") as got:
            await anext(answers)
        assert got.value.retryable


async def test_only_what_was_surely_not_sent_is_definite(certificates: Certificates) -> None:
    started = asyncio.Event()

    async def hang(asked: Any, context: Any) -> Any:
        started.set()
        await asyncio.Event().wait()

    async with Channels(certificates.user("ada")) as channels:
        async with dummy_server(certificates, special={"Place": hang}) as server:
            place = stub(channels, server).Place
            async with asyncio.TaskGroup() as group:
                cut = group.create_task(first_error(call(place, control_pb2.PlaceRequest(), timeout_s=5)))
                await until(started)
                await server.grpc.stop(0)
        sent = cut.result()
        assert (sent.code, sent.definite) == (Code.UNAVAILABLE, False)
        unsent = await first_error(call(place, control_pb2.PlaceRequest(), timeout_s=5))
        assert (unsent.code, unsent.definite) == (Code.UNAVAILABLE, True)


async def first_error(attempt: Any) -> FederationError:
    with pytest.raises(FederationError) as got:
        await attempt
    return got.value


async def test_an_address_in_use_is_said(certificates: Certificates) -> None:
    async with dummy_server(certificates) as server:
        with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{server.port}"):
            build_server(
                f"127.0.0.1:{server.port}",
                certificates.coordinator(),
                AccessCheck({}, lambda: None, lambda user: ()),
            )


async def test_health_is_told_of_the_server_and_of_each_of_its_services(certificates: Certificates) -> None:
    async with dummy_server(certificates) as server, Channels(certificates.user("vic")) as channels:
        ask: Any = health_pb2_grpc.HealthStub(channels.to(f"127.0.0.1:{server.port}"))
        for service in ("", "federation.api.v1.ControlService", "federation.api.v1.AgentService"):
            answer = await call(ask.Check, health_pb2.HealthCheckRequest(service=service), timeout_s=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING, service


@asynccontextmanager
async def far_away(port: int, round_trip_s: float) -> AsyncIterator[int]:
    """A port that leads to `port`, as far away as that."""
    loop = asyncio.get_running_loop()
    ends: list[asyncio.StreamWriter] = []

    async def carry(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while content := await source.read(1 << 16):
            loop.call_later(round_trip_s / 2, target.write, content)

    async def through(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        back, beyond = await asyncio.open_connection("127.0.0.1", port)
        ends.extend((target, beyond))
        await asyncio.gather(carry(source, beyond), carry(back, target), return_exceptions=True)

    async with await asyncio.start_server(through, "127.0.0.1", 0) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            for end in ends:
                end.close()
            for end in ends:
                with suppress(OSError):
                    await end.wait_closed()


async def test_a_coordinator_on_another_continent_is_reached_at_the_first_attempt(certificates: Certificates) -> None:
    async with (
        dummy_server(certificates) as server,
        far_away(server.port, 0.2) as port,
        Channels(certificates.user("ada")) as channels,
    ):
        far = control_pb2_grpc.ControlServiceStub(channels.to(f"127.0.0.1:{port}"))
        await call(far.Get, control_pb2.GetRequest(name="a"), timeout_s=10)


async def test_reflection_tells_the_services(certificates: Certificates) -> None:
    async def asking() -> AsyncIterator[Any]:
        yield reflection_pb2.ServerReflectionRequest(list_services="")

    async with dummy_server(certificates) as server, Channels(certificates.user("vic")) as channels:
        ask: Any = reflection_pb2_grpc.ServerReflectionStub(channels.to(f"127.0.0.1:{server.port}"))
        answer = await first(stream(ask.ServerReflectionInfo, asking(), timeout_s=5))
        assert answer is not None
        names = {service.name for service in answer.list_services_response.service}
        assert {"federation.api.v1.ControlService", "federation.api.v1.AgentService", "grpc.health.v1.Health"} <= names
