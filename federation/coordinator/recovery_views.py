"""Reports of sites from the wire, and the state of the register for `fedctl register`."""

from __future__ import annotations

from base64 import b64encode

from federation.api.v1 import agent_pb2, control_pb2, types_pb2
from federation.coordinator.recovery_sight import Sight
from federation.coordinator.wanted import epoch_message, register_message
from federation.core.recovery import Fate, HubFacts, Verdict
from federation.model.homes import CopyPoint
from federation.model.identity import Epoch, Member, RegisterId, name_of
from federation.model.ownership import Mode
from federation.model.recovery import Holdings, HubHolding


def read_holdings(request: agent_pb2.RenewRequest) -> Holdings:
    """The report in a renewal."""
    said = request.holdings
    register = RegisterId(uuid=said.register.uuid, era=said.register.era) if said.HasField("register") else None
    return Holdings(
        site=request.site,
        uid=request.uid,
        incarnation=request.incarnation,
        register_id=register,
        members_version=said.members_version,
        members=tuple(Member(site=m.site, uid=m.uid, peer_address=m.peer_address) for m in said.members),
        hubs=tuple(_holding(hub) for hub in said.hubs),
        machine_id=said.machine_id,
        sealing_key=said.sealing_key,
        version=said.version,
        kind=said.kind,
        cpu_millis=said.capacity.cpu_millis,
        memory_bytes=said.capacity.memory_bytes,
        edge_address=said.edge_address,
        promised_s=said.promised_s,
    )


def _holding(said: agent_pb2.HubHolding) -> HubHolding:
    boxes: dict[str, dict[str, str]] = {}
    for one in said.boxes:
        boxes.setdefault(one.name, {})[one.site] = b64encode(one.box).decode()
    return HubHolding(
        hub=said.hub,
        accepted=_epoch(said.accepted) if said.HasField("accepted") else None,
        floor=_epoch(said.floor) if said.HasField("floor") else None,
        released=_epoch(said.released) if said.HasField("released") else None,
        ended=_epoch(said.ended) if said.HasField("ended") else None,
        held=_epoch(said.held) if said.HasField("held") else None,
        mode=Mode(said.mode) if said.mode else None,
        runs=said.runs,
        serving=said.serving,
        directive=b64encode(said.directive).decode(),
        boxes=boxes,
        homes=_epoch(said.homes) if said.HasField("homes") else None,
        restored=CopyPoint(site=said.restored.site, snapshot=said.restored.snapshot)
        if said.HasField("restored")
        else None,
    )


def _epoch(message: types_pb2.Epoch) -> Epoch:
    return Epoch(era=message.era, n=message.n)


def state_message(sight: Sight, verdicts: list[tuple[HubFacts, Verdict]], step: str) -> control_pb2.RegisterState:
    """What was found, who has reported what, and what is decided from it."""
    message = control_pb2.RegisterState(found_revision=sight.revision, step=step)
    if sight.found is not None:
        message.found.CopyFrom(register_message(sight.found))
    recovery, reports = sight.recovery, sight.reports
    if recovery is not None:
        message.era.CopyFrom(register_message(recovery.document.register_id))
    for site in sorted({m.site for m in sight.members.members} | reports.keys()):
        report = reports.get(site)
        message.sites.add(
            site=site,
            reported=report is not None and site not in sight.silent,
            without=recovery is not None and site in recovery.document.without,
            holds=sum(holding.held is not None for holding in report.hubs) if report is not None else 0,
        )
    for facts, verdict in verdicts:
        message.hubs.append(_hub(sight, facts, verdict))
    return message


def _hub(sight: Sight, facts: HubFacts, verdict: Verdict) -> control_pb2.RecoveryHub:
    record = facts.record
    recorded = f"{record.owner or 'nobody'} at {record.epoch}" if record is not None else "nothing"
    hub = control_pb2.RecoveryHub(
        hub=facts.hub,
        owner=verdict.owner or "",
        reason=verdict.reason,
        undecided=verdict.fate is Fate.UNDECIDED,
        recorded=recorded + (", retired" if record is not None and record.tombstone else ""),
        known=sight.classroom_of(facts.hub, name_of(facts.hub)) is not None,
    )
    for site, claim in sorted(facts.claims.items()):
        epoch = claim.live or claim.highest
        hub.claims.add(
            site=site,
            epoch=epoch_message(epoch) if epoch is not None else None,
            mode=claim.mode.value if claim.mode is not None else "",
            serving=claim.serving,
        )
    return hub
