"""From documents to what the control API answers; the only place that builds `Hub` and `Site` messages."""

from __future__ import annotations

from datetime import datetime

from federation.api.v1 import control_pb2, types_pb2
from federation.coordinator.facts import Planner
from federation.coordinator.observations import Sightings
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.wanted import epoch_message, spec_message
from federation.model.homes import Unsent
from federation.model.operation import Operation
from federation.model.ownership import Mode
from federation.model.placing import Assignment, ClassroomRecord, Event
from federation.model.status import Condition, HubPhase
from federation.store import keys
from federation.store.register import Stored


def hub_message(stored: Stored[ClassroomRecord], snapshot: Snapshot) -> types_pb2.Hub:
    """Everything about one classroom, from one snapshot."""
    record = stored.document
    return types_pb2.Hub(
        metadata=types_pb2.Metadata(
            name=record.classroom.name,
            uid=record.uid,
            generation=record.generation,
            revision=stored.revision,
            labels=dict(record.classroom.labels),
            created=stamp(record.created),
            actor=record.actor,
        ),
        spec=spec_message(record.classroom),
        status=_status(record, snapshot),
    )


def _status(record: ClassroomRecord, snapshot: Snapshot) -> types_pb2.HubStatus:
    hub = record.uid
    status = types_pb2.HubStatus(phase=HubPhase.PENDING.value, not_yet_in_effect=snapshot.not_yet_in_effect(record))
    ownership, observed = snapshot.ownership(hub), snapshot.observation(hub)
    operation, assignment = snapshot.operation(hub), snapshot.assignment(hub)
    roster = snapshot.roster(hub)
    if ownership is not None:
        status.epoch.CopyFrom(epoch_message(ownership.document.epoch))
        status.site = ownership.document.owner or ""
        owned = snapshot.owned(status.site, hub)
        if status.site:
            status.mode = (owned.mode if owned is not None else Mode.STANDING).value
        status.phase = HubPhase.STARTING.value
    if observed is not None:
        seen = observed.document
        status.phase, status.url, status.homes = seen.phase.value, seen.url, seen.homes
        status.observed_generation, status.servers = seen.generation, seen.servers
        status.outdated_servers = seen.outdated_servers
        status.conditions.extend(condition_message(c) for c in seen.conditions)
    if record.retired is not None:
        over = operation is not None and operation.document.done
        status.phase = (HubPhase.RETIRED if over else HubPhase.STOPPING).value
    if operation is not None:
        status.operation.CopyFrom(operation_message(operation.document))
    if assignment is not None:
        status.assignment.CopyFrom(assignment_message(assignment.document))
    status.unsent.extend(unsent_views(snapshot, hub))
    if roster is not None:
        status.students = len(roster.document.users)
    return status


def condition_message(condition: Condition) -> types_pb2.Condition:
    """The wire form."""
    return types_pb2.Condition(
        type=condition.type.value,
        status=condition.status.value,
        reason=condition.reason,
        message=condition.message,
        since=stamp(condition.since) if condition.since else "",
    )


def operation_message(operation: Operation) -> types_pb2.Operation:
    """The wire form; seconds count from admission."""
    return types_pb2.Operation(
        id=operation.id,
        kind=operation.kind.value,
        hub=operation.hub,
        generation=operation.generation,
        step=operation.step.value,
        done=operation.done,
        waiting_for=operation.waiting_for,
        error=operation.error,
        created=stamp(operation.created),
        actor=operation.actor,
        history=[
            types_pb2.OperationStep(
                step=record.step.value,
                at=stamp(record.at),
                seconds=(record.at - operation.created).total_seconds(),
                message=record.message,
            )
            for record in operation.history
        ],
    )


def unsent_views(snapshot: Snapshot, hub: str) -> list[types_pb2.UnsentWork]:
    """The wire form of what earlier owners had not sent, newest takeover first."""
    works = (stored.document for stored in snapshot.under(keys.unsent_of(hub), Unsent))
    found = sorted(works, key=lambda work: work.taken_over, reverse=True)
    return [
        types_pb2.UnsentWork(
            site=work.site,
            epoch=epoch_message(work.epoch),
            taken_over=stamp(work.taken_over),
            step=work.step.value,
            students=len(work.homes),
            files=work.files,
            bytes=sum(home.bytes for home in work.homes),
            folder=work.folder if work.homes else "",
            message=work.message,
        )
        for work in found
    ]


def assignment_message(assignment: Assignment) -> types_pb2.Assignment:
    """The wire form."""
    return types_pb2.Assignment(
        site=assignment.site,
        standby=assignment.standby or "",
        reason=assignment.reason,
        verdicts=[
            types_pb2.Verdict(site=v.site, fits=v.fits, reason=v.reason, score=v.score) for v in assignment.verdicts
        ],
    )


def event_message(event: Event, revision: int) -> types_pb2.Event:
    """The wire form."""
    return types_pb2.Event(
        revision=revision,
        at=stamp(event.at),
        hub=event.hub,
        site=event.site,
        type=event.type,
        message=event.message,
        actor=event.actor,
    )


def site_messages(snapshot: Snapshot, planner: Planner, sightings: Sightings) -> list[control_pb2.Site]:
    """All sites with what is promised at each."""
    facts = {site.name: site for site in planner.sites()}
    messages = []
    for site in snapshot.sites():
        fact, age, agent = facts[site.name], sightings.age_s(site.name), snapshot.agent(site.name)
        message = control_pb2.Site(
            name=site.name,
            uid=site.uid,
            kind=site.kind,
            capacity=types_pb2.Capacity(cpu_millis=site.cpu_millis, memory_bytes=site.memory_bytes),
            reserved=types_pb2.Capacity(cpu_millis=fact.reserved_cpu_millis, memory_bytes=fact.reserved_memory_bytes),
            edge_address=site.edge_address,
            conditions=[condition_message(c) for c in site.conditions],
            hubs=sum(1 for _ in snapshot.hubs_of(site.name)),
            incarnation=agent.incarnation if agent else 0,
            lease_age_s=-1.0 if age is None else age,
            version=site.version,
            cordon=str(site.cordon) if site.cordon is not None else "",
        )
        messages.append(message)
    return messages


def stamp(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
