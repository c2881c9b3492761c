"""Which coordinator fedctl believes: what is stale counts only if nobody knows better."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from federation.api.v1 import control_pb2, types_pb2
from federation.cli.client import Client
from federation.cli.contexts import Context
from federation.model.errors import NotFound, Unavailable
from tests.support.certificates import Certificates

FRESH = control_pb2.Freshness(age_s=0.2)
OLD = control_pb2.Freshness(stale=True, age_s=60.0)
OLDER = control_pb2.Freshness(stale=True, age_s=600.0)


class Failed(grpc.RpcError):
    """As grpc raises it."""

    def __init__(self, status: grpc.StatusCode) -> None:
        self.status = status

    def code(self) -> grpc.StatusCode:
        return self.status

    def details(self) -> str:
        return "as the test wants it"

    def trailing_metadata(self) -> tuple[()]:
        return ()


@dataclass
class Coordinator:
    """Its answer to everything: what it knows, as old as that is, or an error."""

    says: control_pb2.Freshness | grpc.StatusCode
    asked: int = 0

    def List(self, request: Any, timeout: float) -> control_pb2.ListResponse:  # noqa: N802 - the wire's name
        self.asked += 1
        if isinstance(self.says, control_pb2.Freshness):
            return control_pb2.ListResponse(freshness=self.says)
        raise Failed(self.says)

    def WatchOperation(self, request: Any, timeout: float | None) -> Stream:  # noqa: N802 - the wire's name
        self.asked += 1
        return Stream(self.says)


class Stream:
    """One answer; then it ends, or breaks off."""

    def __init__(self, says: control_pb2.Freshness | grpc.StatusCode) -> None:
        self.says = says

    def __iter__(self) -> Iterator[types_pb2.Operation]:
        yield types_pb2.Operation(id="o1")
        if isinstance(self.says, grpc.StatusCode):
            raise Failed(self.says)

    def cancel(self) -> None:
        pass


def client_of(monkeypatch: pytest.MonkeyPatch, certificates: Certificates, *coordinators: Coordinator) -> Client:
    """One that reaches all of them, in this order."""
    known = {f"127.0.0.1:{n}": coordinator for n, coordinator in enumerate(coordinators, 1)}
    tls = certificates.user("ada")
    client = Client(Context("f", tuple(known), str(tls.ca), str(tls.cert), str(tls.key)))
    monkeypatch.setattr(client, "_answers", lambda _address, *, others_left: True)
    monkeypatch.setattr(client, "_stub", known.__getitem__)
    return client


def age_s(client: Client) -> float:
    return float(client.call("List", control_pb2.ListRequest()).freshness.age_s)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("pki"), "6f1c2d9e-0f5b-4d7e-9a49-0d6f6c1a2b3c")


def test_a_coordinator_that_lost_the_register_is_not_believed_while_another_has_it(
    monkeypatch: pytest.MonkeyPatch, certificates: Certificates
) -> None:
    lost, well = Coordinator(OLD), Coordinator(FRESH)
    client = client_of(monkeypatch, certificates, lost, well)
    assert age_s(client) == pytest.approx(0.2)
    assert age_s(client) == pytest.approx(0.2)
    assert lost.asked == 1, "from then on it is asked last"


def test_when_all_have_lost_it_the_least_old_answer_counts(
    monkeypatch: pytest.MonkeyPatch, certificates: Certificates
) -> None:
    client = client_of(monkeypatch, certificates, Coordinator(OLDER), Coordinator(OLD), Coordinator(OLDER))
    assert age_s(client) == pytest.approx(60.0)


def test_a_stale_answer_is_better_than_none(monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> None:
    client = client_of(monkeypatch, certificates, Coordinator(OLD), Coordinator(grpc.StatusCode.UNAVAILABLE))
    assert age_s(client) == pytest.approx(60.0)


def test_what_one_that_has_it_refuses_is_the_answer(
    monkeypatch: pytest.MonkeyPatch, certificates: Certificates
) -> None:
    client = client_of(monkeypatch, certificates, Coordinator(OLD), Coordinator(grpc.StatusCode.NOT_FOUND))
    with pytest.raises(NotFound):
        age_s(client)


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch, certificates: Certificates) -> None:
    client = client_of(monkeypatch, certificates, Coordinator(grpc.StatusCode.UNAVAILABLE))
    with pytest.raises(Unavailable):
        age_s(client)


def test_after_a_stream_that_broke_off_another_one_is_asked_first(
    monkeypatch: pytest.MonkeyPatch, certificates: Certificates
) -> None:
    """One that has lost the register answers on, from what it knew: whoever waits there waits for ever."""
    lost, well = Coordinator(grpc.StatusCode.UNAVAILABLE), Coordinator(FRESH)
    client = client_of(monkeypatch, certificates, lost, well)
    request = control_pb2.WatchOperationRequest(name="lab", id="o1")
    with pytest.raises(Unavailable):
        list(client.stream("WatchOperation", request))
    assert len(list(client.stream("WatchOperation", request))) == 1
    assert (lost.asked, well.asked) == (1, 1)
