"""What a site is to run, computed from the register: the directive that orders work and permits nothing.

Hubs that the site owns are wanted running; hubs whose ownership ended are wanted stopped until it has confirmed.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from federation.api.v1 import agent_pb2, types_pb2
from federation.api.v1.classroom_pb2 import ClassroomSpec
from federation.coordinator.snapshot import Snapshot
from federation.core.in_force import generation_in_force, secret_in_force
from federation.core.moving import LET_IN_S
from federation.model.classroom import Classroom
from federation.model.identity import Epoch, RegisterId, name_of
from federation.model.operation import Operation, OperationKind, Step
from federation.model.placing import ClassroomRecord, Generation
from federation.runtime.bridge import to_message
from federation.runtime.clock import Clock

GENERATED = "generated-"
HOMES = "homes"  # the password of the copies, among a directive's sealed secrets


def epoch_message(epoch: Epoch) -> types_pb2.Epoch:
    """The wire form."""
    return types_pb2.Epoch(era=epoch.era, n=epoch.n)


def register_message(identity: RegisterId) -> types_pb2.RegisterId:
    """The wire form."""
    return types_pb2.RegisterId(uuid=identity.uuid, era=identity.era)


def auth_secret(record: ClassroomRecord, generation: Generation | None = None) -> str:
    """Name of the secret that the sign-in of the newest (or the given) generation needs; one is generated where the
    file names none."""
    classroom = generation.classroom if generation is not None else record.classroom
    return classroom.spec.auth.secret or f"{GENERATED}{record.uid}"


def spec_message(classroom: Classroom) -> ClassroomSpec:
    """The spec on the wire."""
    return to_message(classroom.spec, ClassroomSpec)


STATES = {
    Step.CHECKED: "draining",
    Step.DRAINED: "moving",
    Step.STOPPED: "moving",
    Step.COPIED: "released",
}
"""What the source of a planned move is to do with the hub after each finished step; at all others it runs."""


def _state(operation: Operation, site: str) -> str:
    moving = operation.kind is OperationKind.MOVE and operation.source == site
    return STATES.get(operation.step, "running") if moving else "running"


def _notice(operation: Operation) -> str:
    """What students read while the hub drains."""
    begun = operation.history[-1].at if operation.history else operation.created
    latest = (begun + timedelta(seconds=operation.drain_s)).strftime("%H:%M UTC")
    return (
        f"This class moves to other machines, at {latest} at the latest. Save your work: servers are stopped then and "
        "nobody can start one meanwhile. A few minutes later the class is here again, under the same address, with "
        "all files."
    )


@dataclass(slots=True)
class WantedBuilder:
    """Builds wanted documents of one site from the snapshot; specs are converted once per generation."""

    site: str
    snapshot: Snapshot
    url_of: Callable[[str], str]
    clock: Clock
    _specs: dict[str, tuple[int, ClassroomSpec]] = field(default_factory=dict)

    def hubs(self) -> set[str]:
        """All hubs that concern the site."""
        return self.snapshot.hubs_of(self.site)

    def build(self, hub: str) -> agent_pb2.WantedHub | None:
        """The directive for one hub; None if the hub does not concern the site (any more)."""
        owned = self.snapshot.owned(self.site, hub)
        if owned is not None:
            return self._running(hub, owned.epoch)
        closing = self.snapshot.closing(self.site, hub)
        return None if closing is None else self._stopped(hub, closing.epoch)

    def _running(self, hub: str, epoch: Epoch) -> agent_pb2.WantedHub | None:
        stored = self.snapshot.classroom_of(hub)
        if stored is None:
            return None  # the mirror has the one and not yet the other: the next change brings it
        record, operation = stored.document, self.snapshot.operation(hub)
        wanted = generation_in_force(record, operation.document if operation else None)
        state = _state(operation.document, self.site) if operation else "running"
        directive = agent_pb2.WantedHub(
            hub=hub,
            name=name_of(hub),
            epoch=epoch_message(epoch),
            generation=wanted.number,
            state=state,
            notice=_notice(operation.document) if operation and state == "draining" else "",
            drain_limit_s=operation.document.drain_s + LET_IN_S if operation and state == "draining" else 0.0,
            copied_run=self._final_run(hub, operation.document) if operation and state == "released" else "",
            spec=self._spec(hub, wanted),
            operation=operation.document.id if operation else "",
            sealed=self._sealed(record, wanted),
            url=self.url_of(wanted.classroom.spec.dns.host),
        )
        self._add_restore(directive, epoch)
        return directive

    def _final_run(self, hub: str, operation: Operation) -> str:
        """The run without which the hub is not to be given up; empty where the loss of it was accepted, or there is
        nothing to copy."""
        index, generation = self.snapshot.home(hub), self.snapshot.in_force(hub)
        lasting = generation is not None and generation.classroom.spec.storage.protection is not None
        return index.document.run if index is not None and lasting and not operation.accept_loss else ""

    def _stopped(self, hub: str, epoch: Epoch) -> agent_pb2.WantedHub:
        """Where another site has the class, its names go along: the edge here tells who still comes that it moved."""
        operation, ownership, wanted = (
            self.snapshot.operation(hub),
            self.snapshot.ownership(hub),
            self.snapshot.in_force(hub),
        )
        elsewhere = ownership is not None and ownership.document.owner not in (None, self.site)
        return agent_pb2.WantedHub(
            hub=hub,
            name=name_of(hub),
            epoch=epoch_message(epoch),
            state="stopped",
            operation=operation.document.id if operation else "",
            delete_homes=operation.document.delete_homes if operation else False,
            spec=self._spec(hub, wanted) if elsewhere and wanted is not None else None,
            url=self.url_of(wanted.classroom.spec.dns.host) if elsewhere and wanted is not None else "",
        )

    def _spec(self, hub: str, wanted: Generation) -> ClassroomSpec:
        known = self._specs.get(hub)
        if known is None or known[0] != wanted.number:
            known = (wanted.number, spec_message(wanted.classroom))
            self._specs[hub] = known
        return known[1]

    def _sealed(self, record: ClassroomRecord, wanted: Generation) -> dict[str, bytes]:
        """The boxes for this site. A class that meets keeps the value that it has: another one restarts its hub."""
        boxes: dict[str, str | None] = {}
        secret, homes = self.snapshot.secret(auth_secret(record, wanted)), self.snapshot.home_key(record.uid)
        if secret is not None:
            version, _until = secret_in_force(secret, wanted.classroom.spec, record.created, self.clock.now())
            boxes["auth"] = version.sealed.get(self.site) or secret.sealed.get(self.site)
        if homes is not None:
            boxes[HOMES] = homes.sealed.get(self.site)
        return {name: b64decode(box) for name, box in boxes.items() if box is not None}

    def _add_restore(self, directive: agent_pb2.WantedHub, epoch: Epoch) -> None:
        """What the homes must be at this epoch, if it began with a takeover, or is a retirement later than one."""
        stored = self.snapshot.ownership(directive.hub)
        if stored is None or stored.document.restore is None or stored.document.epoch != epoch:
            return
        copy, since = stored.document.restore, stored.document.restore_since
        directive.restore.CopyFrom(agent_pb2.CopyRef(site=copy.site, hub=directive.hub, snapshot=copy.snapshot))
        if since is not None:
            directive.restore_since.CopyFrom(epoch_message(since))
