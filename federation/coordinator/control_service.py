"""What fedctl may call. Any replica serves every call; only logs need the leader's stream to the agent and are passed on.

Reads come from the mirror and say how old they are, so that without a quorum the last known state is still shown,
marked stale (I7). Writes go through `admission`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from federation.api.v1 import agent_pb2, control_pb2, control_pb2_grpc, types_pb2
from federation.coordinator import views
from federation.coordinator.admission import (
    Admission,
    Admitted,
    PlaceOrder,
    find_classroom,
    older_than,
    require_typed_name,
)
from federation.coordinator.checking import Checking
from federation.coordinator.control_drills import DrillCalls, drill_messages
from federation.coordinator.control_hooks import HookCalls
from federation.coordinator.control_moves import MoveCalls, actor
from federation.coordinator.control_preparing import PrepareCalls, PrepareDesk
from federation.coordinator.control_recovery import RecoveryCalls
from federation.coordinator.drill_orders import DrillOrders
from federation.coordinator.facts import Planner
from federation.coordinator.homes import HomesDesk
from federation.coordinator.hook_desk import HookDesk
from federation.coordinator.move_orders import MoveOrders
from federation.coordinator.observations import Sightings
from federation.coordinator.pausing import set_pause
from federation.coordinator.readiness import Readiness
from federation.coordinator.recovering import Recovering
from federation.coordinator.secrets_and_sites import SecretsAndSites
from federation.coordinator.server_tests import ServerTestCalls, ServerTestDesk
from federation.coordinator.sessions import Sessions
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.standing import Standing
from federation.coordinator.watching import Watching
from federation.model.classroom import Classroom
from federation.model.effects import Difference, differences
from federation.model.errors import NotFound
from federation.model.placing import ClassroomRecord, Event
from federation.store import keys
from federation.store.register import Stored, decode

LOGS_SILENCE_S = 10.0
MOST_EVENTS = 1000
PAGE_BYTES = 1 << 20  # of a list; a message holds four times that


@dataclass(slots=True)
class ControlService(
    MoveCalls,
    DrillCalls,
    RecoveryCalls,
    HookCalls,
    ServerTestCalls,
    PrepareCalls,
    control_pb2_grpc.ControlServiceServicer,
):
    """Serves fedctl."""

    snapshot: Snapshot
    checking: Checking
    admission: Admission
    planner: Planner
    sightings: Sightings
    sessions: Sessions
    standing: Standing
    watching: Watching
    secrets_and_sites: SecretsAndSites
    orders: MoveOrders
    drill_orders: DrillOrders
    hook_desk: HookDesk
    readiness: Readiness
    server_tests: ServerTestDesk
    homes: HomesDesk
    recovering: Recovering
    preparing: PrepareDesk

    async def Place(self, request: control_pb2.PlaceRequest, context: Any) -> control_pb2.PlaceResponse:  # noqa: ARG002
        classroom = self.checking.read(request.classroom)
        before = self.snapshot.classroom(classroom.name)
        admitted = await self.admission.place(
            classroom,
            PlaceOrder(
                actor=actor(),
                request_id=request.request_id,
                based_on_revision=request.based_on_revision,
                based_on_generation=request.based_on_generation,
                overwrite=request.overwrite,
                now=request.now,
                offered_password=request.offered_password,
            ),
        )
        return control_pb2.PlaceResponse(
            hub=await self._hub(admitted),
            changed=admitted.changed,
            operation=views.operation_message(admitted.operation),
            differences=_differences(before, classroom) if admitted.changed else [],
            generated=admitted.generated,
        )

    async def Plan(self, request: control_pb2.PlanRequest, context: Any) -> control_pb2.PlanResponse:  # noqa: ARG002
        classroom = self.checking.read(request.classroom)
        live = await self.admission.register.read(keys.classroom(classroom.name), ClassroomRecord)
        exists = live is not None and live.document.retired is None
        await self.checking.refuse_clashes(classroom, live.document.uid if live is not None and exists else "")
        answer = control_pb2.PlanResponse(exists=exists)
        assignment = self.snapshot.assignment(live.document.uid) if live is not None and exists else None
        if live is not None and exists:
            answer.live_revision = live.revision
            answer.differences.extend(_differences(live, classroom))
            if answer.differences:
                answer.conflict = older_than(live, request.based_on_generation)
        if assignment is not None:
            answer.assignment.CopyFrom(views.assignment_message(assignment.document))
            answer.feasible = True
            answer.notes.append(f"stays at {assignment.document.site}")
            return answer
        choice = self.planner.choose(classroom)
        answer.feasible = choice.site is not None
        answer.assignment.CopyFrom(
            types_pb2.Assignment(
                site=choice.site or "",
                standby=choice.standby or "",
                reason=choice.reason,
                verdicts=[
                    types_pb2.Verdict(site=v.site, fits=v.fits, reason=v.reason, score=v.score) for v in choice.verdicts
                ],
            )
        )
        return answer

    async def Get(self, request: control_pb2.GetRequest, context: Any) -> control_pb2.GetResponse:  # noqa: ARG002
        return control_pb2.GetResponse(hub=await self._named(request.name), freshness=self.standing.freshness())

    async def List(self, request: control_pb2.ListRequest, context: Any) -> control_pb2.ListResponse:  # noqa: ARG002
        answer = control_pb2.ListResponse(freshness=self.standing.freshness())
        size, last = 0, ""
        for place, stored in self._listed(retired=request.retired):
            if place <= request.page_token:
                continue
            if size > PAGE_BYTES:
                answer.next_page_token = last
                break
            labels = stored.document.classroom.labels
            if any(labels.get(key) != value for key, value in request.labels.items()):
                continue
            if stored.document.retired is not None and not request.retired:
                operation = self.snapshot.operation(stored.document.uid)
                if operation is None or operation.document.done:
                    continue
            hub = views.hub_message(stored, self.snapshot)
            if not request.site or hub.status.site == request.site:
                answer.items.append(hub)
                size, last = size + hub.ByteSize(), place
        return answer

    def _listed(self, *, retired: bool) -> list[tuple[str, Stored[ClassroomRecord]]]:
        """Classes by their place in the list: name, or name/uid for one whose name was taken by a later one."""
        found = [(s.document.classroom.name, s) for s in self.snapshot.under(keys.CLASSROOMS, ClassroomRecord)]
        if retired:
            older = self.snapshot.under(keys.RETIRED, ClassroomRecord)
            found += [(f"{s.document.classroom.name}/{s.document.uid}", s) for s in older]
        return sorted(found, key=lambda each: each[0])

    async def Describe(
        self,
        request: control_pb2.DescribeRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.DescribeResponse:
        hub = await self._named(request.name)
        drills = drill_messages(self.snapshot, hub.metadata.uid)
        return control_pb2.DescribeResponse(
            hub=hub,
            events=self._events(hub.metadata.uid, 20),
            freshness=self.standing.freshness(),
            drill=drills[-1] if drills else None,
        )

    async def Events(
        self,
        request: control_pb2.EventsRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.EventsResponse:
        limit = min(max(request.limit, 0) or 50, MOST_EVENTS)
        subject = ""
        if request.name:
            stored = self.snapshot.find(request.name)
            site = self.snapshot.site(request.name)
            if stored is None and site is None:
                raise NotFound(f"no classroom or site is named {request.name}")
            subject = stored.document.uid if stored is not None else f"site-{request.name}"
        return control_pb2.EventsResponse(items=self._events(subject, limit), freshness=self.standing.freshness())

    async def Watch(
        self,
        request: control_pb2.WatchRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[control_pb2.WatchResponse]:
        async for answer in self.watching.hubs(request.name):
            yield answer

    async def WatchOperation(
        self,
        request: control_pb2.WatchOperationRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[types_pb2.Operation]:
        async for operation in self.watching.operation(request.name, request.id):
            yield operation

    async def Logs(
        self,
        request: control_pb2.LogsRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[control_pb2.LogsResponse]:
        leader = self.standing.other_leader()
        if leader is not None:
            async with aclosing(leader.logs(request)) as answers:
                async for answer in answers:
                    yield answer
            return
        hub = await self._named(request.name)
        if not hub.status.site:
            raise NotFound(f"{request.name} runs nowhere: it has no logs now")
        ask = agent_pb2.LogsAsk(
            hub=hub.metadata.uid, user=request.user, follow=request.follow, tail=request.tail or 100
        )
        async with aclosing(self.sessions.logs(hub.status.site, ask, silence_s=LOGS_SILENCE_S)) as chunks:
            async for chunk in chunks:
                yield control_pb2.LogsResponse(chunk=chunk)

    async def Retire(self, request: control_pb2.RetireRequest, context: Any) -> control_pb2.RetireResponse:  # noqa: ARG002
        if request.delete_homes:
            require_typed_name(request.name, request.confirm_name)
        admitted = await self.admission.retire(request.name, delete_homes=request.delete_homes, actor=actor())
        observed = self.snapshot.observation(admitted.record.document.uid)
        return control_pb2.RetireResponse(
            operation=views.operation_message(admitted.operation), homes=observed.document.homes if observed else ""
        )

    async def Restore(
        self,
        request: control_pb2.RestoreRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.RestoreResponse:
        admitted = await self.admission.restore(request.name, actor=actor())
        return control_pb2.RestoreResponse(
            hub=await self._hub(admitted), operation=views.operation_message(admitted.operation)
        )

    async def SetSecret(
        self,
        request: control_pb2.SetSecretRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.SetSecretResponse:
        sites = tuple(request.sites)
        return await self.secrets_and_sites.set_secret(request.name, request.value, sites, actor(), at_once=request.now)

    async def ListSecrets(
        self,
        request: control_pb2.ListSecretsRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> control_pb2.ListSecretsResponse:
        return control_pb2.ListSecretsResponse(items=self.secrets_and_sites.list_secrets())

    async def RemoveSecret(
        self,
        request: control_pb2.RemoveSecretRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.RemoveSecretResponse:
        await self.secrets_and_sites.remove_secret(request.name)
        return control_pb2.RemoveSecretResponse()

    async def ListSites(
        self,
        request: control_pb2.ListSitesRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.ListSitesResponse:
        sites = views.site_messages(self.snapshot, self.planner, self.sightings)
        found = [site for site in sites if not request.name or site.name == request.name]
        if request.name and not found:
            raise NotFound(f"no site named {request.name} has joined", help="`fedctl sites` lists them.")
        return control_pb2.ListSitesResponse(items=found, freshness=self.standing.freshness())

    async def JoinSite(
        self,
        request: control_pb2.JoinSiteRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.JoinSiteResponse:
        await self.secrets_and_sites.join(request, actor())
        return control_pb2.JoinSiteResponse(
            site=control_pb2.Site(name=request.name, uid=request.uid, kind=request.kind)
        )

    async def SetPause(
        self,
        request: control_pb2.SetPauseRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.SetPauseResponse:
        changed = await set_pause(self.admission, paused=request.paused, reason=request.reason, actor=actor())
        return control_pb2.SetPauseResponse(changed=changed)

    async def Status(self, request: control_pb2.StatusRequest, context: Any) -> control_pb2.StatusResponse:  # noqa: ARG002
        return await self.standing.status()

    async def Readiness(
        self,
        request: control_pb2.ReadinessRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.ReadinessResponse:
        return await self.readiness.answer(request)

    async def ListHomes(
        self,
        request: control_pb2.ListHomesRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.ListHomesResponse:
        answer = self.homes.list_copies(await self._found(request.name), request.user)
        answer.freshness.CopyFrom(self.standing.freshness())
        return answer

    async def RestoreHome(
        self,
        request: control_pb2.RestoreHomeRequest,
        context: Any,  # noqa: ARG002
    ) -> control_pb2.RestoreHomeResponse:
        return await self.homes.restore(await self._found(request.name), request, actor())

    async def _named(self, name: str) -> types_pb2.Hub:
        return views.hub_message(await self._found(name), self.snapshot)

    async def _found(self, name: str) -> Stored[ClassroomRecord]:
        stored = self.snapshot.find(name) or await find_classroom(self.admission.register, name)
        if stored is None:
            raise NotFound(f"no classroom is named {name}")
        return stored

    async def _hub(self, admitted: Admitted) -> types_pb2.Hub:
        return views.hub_message(admitted.record, self.snapshot)

    def _events(self, subject: str, limit: int) -> list[types_pb2.Event]:
        prefix = f"{keys.EVENTS}{subject}/" if subject else keys.EVENTS
        entries = list(self.snapshot.mirror.entries(prefix))
        entries.sort(key=lambda entry: keys.tail(entry.key))
        return [views.event_message(decode(e, Event).document, e.revision) for e in entries[-limit:]]


def _differences(live: Stored[ClassroomRecord] | None, wanted: Classroom) -> list[control_pb2.Difference]:
    if live is None:
        return []
    found: tuple[Difference, ...] = differences(live.document.classroom, wanted)
    return [control_pb2.Difference(path=d.path, live=d.live, wanted=d.wanted, effect=str(d.effect)) for d in found]
