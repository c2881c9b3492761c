"""fedctl's line to the coordinators: tries all of them, a deadline on every call, our own errors.

The synchronous gRPC API, because it is the quickest to import and start. A write that may have been carried out is
repeated only with the same request id. What a coordinator calls stale counts only if no other one knows better.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc

from federation.api.v1 import control_pb2_grpc
from federation.cli.contexts import Context
from federation.model.errors import DeadlineExceeded, FederationError, NotLeader, Unavailable
from federation.runtime.channel import CHANNEL_OPTIONS
from federation.runtime.grpc_errors import error_of_call
from federation.runtime.tls import TlsFiles, channel_credentials

A = TypeVar("A")

CALL_S = 10.0
CONNECT_S = 0.8  # for one coordinator while others are left
CONNECT_LAST_S = 3.5  # for the last one: its first two packets may be lost, which are sent again after 1 and 3 s
READY_S = 2.0  # the same, until it has also proven who it is: a frozen one accepts connections and says nothing
HEALTH = "/grpc.health.v1.Health/Check"  # anybody may ask


class Client:
    """A connection to whichever coordinator answers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        files = TlsFiles(Path(context.ca), Path(context.cert), Path(context.key))
        self._credentials = channel_credentials(files)
        self._channels: dict[str, grpc.Channel] = {}
        self._addresses = list(context.coordinators)

    def call(self, method: str, request: Any, *, timeout_s: float = CALL_S, repeatable: bool = True) -> Any:
        """One call with one answer. With `repeatable` it is tried at the next coordinator when it may not have been
        carried out; reads are, and writes with a request id."""

        def ask(stub: Any) -> Any:
            return getattr(stub, method)(request, timeout=timeout_s)

        return self._first_that_answers(method, ask, repeatable)

    def stream(self, method: str, request: Any, *, timeout_s: float | None = None) -> Iterator[Any]:
        """The answers of a streaming call, from the first coordinator that begins to answer."""
        last: FederationError = Unavailable("the context names no coordinator")
        for address, others in self._in_turn():
            if not self._answers(address, others_left=others):
                last = Unavailable(f"{method}: coordinator {address} does not answer")
                self._demote(address)
                continue
            running = getattr(self._stub(address), method)(request, timeout=timeout_s)
            begun = False
            try:
                for answer in running:
                    begun = True
                    yield answer
                return  # noqa: TRY300 - an else would stand below the clean-up
            except grpc.RpcError as failed:
                last = error_of_call(failed, method)
                if _elsewhere(last):
                    self._demote(address)
                if begun or not _elsewhere(last):
                    raise last from failed
            finally:
                running.cancel()
        raise last

    def close(self) -> None:
        """Close all channels."""
        for channel in self._channels.values():
            channel.close()

    def _first_that_answers(self, method: str, ask: Callable[[Any], A], repeatable: bool) -> A:
        last: FederationError = Unavailable("the context names no coordinator")
        stale: list[A] = []
        for address, others in self._in_turn():
            if not self._answers(address, others_left=others or bool(stale)):
                last = Unavailable(f"{method}: coordinator {address} does not answer")
                self._demote(address)
                continue
            try:
                answer = ask(self._stub(address))
            except grpc.RpcError as failed:
                last = error_of_call(failed, method)
                if not _elsewhere(last) or not (repeatable or last.definite):
                    raise last from failed
                self._demote(address)
                continue
            if not _stale(answer):
                return answer
            stale.append(answer)
            self._demote(address)
        if stale:
            return min(stale, key=_age_s)
        raise last

    def _in_turn(self) -> list[tuple[str, bool]]:
        """The addresses as they are to be asked, and whether others are left then."""
        return [(address, n < len(self._addresses)) for n, address in enumerate(self._addresses, 1)]

    def _answers(self, address: str, *, others_left: bool) -> bool:
        """A dead or frozen host must not cost the whole deadline of the call: look with a plain connection first, then
        whether it gets as far as showing its certificate. The last one of several gets all the time there is."""
        if len(self._addresses) == 1:
            return True
        host, _, port = address.rpartition(":")
        try:
            limit_s = CONNECT_S if others_left else CONNECT_LAST_S
            socket.create_connection((host.strip("[]"), int(port)), timeout=limit_s).close()
        except OSError:
            return False
        return not others_left or self._gets_ready(address)

    def _gets_ready(self, address: str) -> bool:
        # not by grpc's future of readiness: its thread looks on for a moment, and complains if the channel is closed then
        ask: Any = self._channel(address).unary_unary(HEALTH)
        try:
            ask(b"", timeout=READY_S)
        except grpc.RpcError as failed:
            return failed.code() not in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
        return True

    def _stub(self, address: str) -> Any:
        return control_pb2_grpc.ControlServiceStub(self._channel(address))

    def _channel(self, address: str) -> grpc.Channel:
        if address not in self._channels:
            self._channels[address] = grpc.secure_channel(address, self._credentials, options=CHANNEL_OPTIONS)
        return self._channels[address]

    def _demote(self, address: str) -> None:
        """Ask it last from now on."""
        self._addresses.remove(address)
        self._addresses.append(address)


def _stale(answer: Any) -> bool:
    """Whether who answered has not heard from the register lately. Changes say nothing of that, and are never so."""
    return "freshness" in answer.DESCRIPTOR.fields_by_name and answer.freshness.stale


def _age_s(answer: Any) -> float:
    return float(answer.freshness.age_s)


def _elsewhere(error: FederationError) -> bool:
    """Whether another coordinator may do better."""
    return isinstance(error, Unavailable | DeadlineExceeded | NotLeader)
