"""The table: which role may call which RPC. What has no row nobody may call; a test walks every RPC with every role."""

from __future__ import annotations

from google.protobuf.message import Message

from federation.api.v1 import agent_pb2
from federation.runtime.access import Right, Rights, Role

READERS = frozenset({Role.ADMIN, Role.OPERATOR, Role.VIEWER, Role.COORDINATOR})
OPERATORS = frozenset({Role.ADMIN, Role.OPERATOR})
ADMINS = frozenset({Role.ADMIN})
AGENTS = frozenset({Role.AGENT})
ANYONE = frozenset({Role.ANYONE})


def _of_request(message: Message) -> tuple[str, str] | None:
    if isinstance(message, agent_pb2.HelloRequest | agent_pb2.RenewRequest):
        return message.site, message.uid
    return None


def _of_session(message: Message) -> tuple[str, str] | None:
    if isinstance(message, agent_pb2.AgentMessage) and message.WhichOneof("message") == "open":
        return message.open.site, message.open.uid
    return None


def _agent(method: str) -> str:
    return f"/federation.api.v1.AgentService/{method}"


def _control(method: str) -> str:
    return f"/federation.api.v1.ControlService/{method}"


RIGHTS: Rights = {
    _agent("Hello"): Right(AGENTS, _of_request),
    _agent("Renew"): Right(AGENTS, _of_request),
    _agent("Session"): Right(AGENTS, _of_session),
    # reading
    _control("Plan"): Right(READERS),
    _control("Get"): Right(READERS),
    _control("List"): Right(READERS),
    _control("Describe"): Right(READERS),
    _control("Watch"): Right(READERS),
    _control("WatchOperation"): Right(READERS),
    _control("Events"): Right(READERS),
    _control("ListSites"): Right(READERS),
    _control("Status"): Right(READERS),
    _control("ListHooks"): Right(READERS),
    _control("Readiness"): Right(READERS),
    _control("ListHomes"): Right(READERS),
    _control("ListDrills"): Right(READERS),
    _control("RegisterStatus"): Right(READERS),
    # a class's logs show what its students do; coordinators pass the question on to the leader
    _control("Logs"): Right(OPERATORS | {Role.COORDINATOR}),
    # a ticket for a test server is for those who test, and for no person
    _control("ServerTest"): Right(frozenset({Role.COORDINATOR})),
    # running classes
    _control("Place"): Right(OPERATORS),
    _control("Retire"): Right(OPERATORS),
    _control("Restore"): Right(OPERATORS),
    _control("RestoreHome"): Right(OPERATORS),
    _control("SetSecret"): Right(OPERATORS),
    _control("ListSecrets"): Right(OPERATORS),
    _control("RemoveSecret"): Right(OPERATORS),
    _control("SetPause"): Right(OPERATORS),
    _control("Move"): Right(OPERATORS),
    _control("CancelMove"): Right(OPERATORS),
    _control("Failover"): Right(OPERATORS),
    _control("SetCordon"): Right(OPERATORS),
    _control("Drill"): Right(OPERATORS),
    _control("CancelDrill"): Right(OPERATORS),
    # changing the federation
    _control("JoinSite"): Right(ADMINS),
    _control("RecoverRegister"): Right(ADMINS),
    # it installs programs into a site's cluster
    _control("PrepareSite"): Right(ADMINS),
    # it runs programs at the coordinator's host and tells people that something happened
    _control("TestHooks"): Right(ADMINS),
    # for probes and tools: they tell nothing about classes
    "/grpc.health.v1.Health/Check": Right(ANYONE),
    "/grpc.health.v1.Health/Watch": Right(ANYONE),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": Right(ANYONE),
}
