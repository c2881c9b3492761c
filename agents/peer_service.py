"""The one call that agents serve: another agent asks whether this one keeps its hands off (DESIGN.md 4.3).

Who calls was checked before: the certificate is an agent's, of this register, and the message speaks for its site. Here
(site, uid) must be in the member list, too: of a site that joined later or was replaced this one knows nothing.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message

from agents.lease import SiteLease
from agents.link import read_epoch, wire_epoch
from federation.api.v1 import agent_pb2, agent_pb2_grpc
from federation.core.failsafe import Asked, No
from federation.runtime.access import Right, Rights, Role


def _speaks_for(message: Message) -> tuple[str, str] | None:
    return (message.site, message.uid) if isinstance(message, agent_pb2.FailsafeRequest) else None


PEER_RIGHTS: Rights = {"/federation.api.v1.PeerService/Ask": Right(frozenset({Role.AGENT}), _speaks_for)}
"""All that may be called at an agent, and by whom."""


class PeerService(agent_pb2_grpc.PeerServiceServicer):
    """Answers for (site, uid)."""

    def __init__(self, site: str, uid: str, lease: SiteLease, sealing_key: str = "") -> None:
        self._sealing_key = sealing_key
        self.site = site
        self.uid = uid
        self._lease = lease

    async def Ask(  # noqa: N802 - the name on the wire
        self,
        request: agent_pb2.FailsafeRequest,
        context: Any,  # noqa: ARG002
    ) -> agent_pb2.FailsafeResponse:
        """All hubs of a round at once. Unavailable if the journal cannot be written: then nothing was promised."""
        asked = [Asked(request.site, request.uid, claim.hub, read_epoch(claim.epoch)) for claim in request.hubs]
        lease = self._lease
        answers = lease.promises.answer(asked, request.nonce, known=lease.known(), held=lease.held, unfit=lease.unfit())
        return agent_pb2.FailsafeResponse(
            site=self.site,
            uid=self.uid,
            nonce=request.nonce,
            hubs=[_wire(hub, no) for hub, no in answers.items()],
            sealing_key=self._sealing_key,
        )


def _wire(hub: str, no: No | None) -> agent_pb2.FailsafeAnswer:
    if no is None:
        return agent_pb2.FailsafeAnswer(hub=hub, promised=True)
    answer = agent_pb2.FailsafeAnswer(hub=hub, reason=no.reason)
    if no.highest is not None:
        answer.highest.CopyFrom(wire_epoch(no.highest))
    return answer
