"""Making the register anew (DESIGN.md 4.7, PROTOCOL.md H6.3): era, reports, verdicts; what agents hear meanwhile.

The new era is written first, by compare-and-set, so that of two persons one begins and the other goes on with what that
one began. A report counts only if its agent had journaled that era: from then on it believes no older answer, so that
nothing can be opened that the report does not name. Everything is in the register, so that any coordinator can go on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from federation.api.v1 import agent_pb2, control_pb2
from federation.coordinator.recovery_sight import Sight, look
from federation.coordinator.recovery_views import read_holdings, state_message
from federation.coordinator.recovery_writing import Writing
from federation.coordinator.wanted import register_message
from federation.core.recovery import NOBODY, Fate, HubFacts, Verdict, decide, refusal
from federation.core.renewal import comes_late
from federation.model.errors import Conflict, InvalidRequest, OldIncarnation, Refused, RegisterFault, Unavailable
from federation.model.identity import RegisterId, name_of
from federation.model.ownership import AgentRecord
from federation.model.placing import UserRecord
from federation.model.profile import Profile
from federation.model.recovery import Holdings, Recovery, RecoveryStep
from federation.runtime.clock import Clock
from federation.store import keys
from federation.store.interface import Guard, Transaction
from federation.store.register import Changes, Register, Stored, decode
from federation.store.remembered import RememberedRegister

log = structlog.get_logger(__name__)

LOOK_S = 2.0


@dataclass(slots=True)
class Recovering:
    """`hello` and `renew` answer agents while `register.fault`; `state` and `recover` answer persons; `ended` returns when
    a recovery is over and this coordinator has to begin anew."""

    register: Register
    remembered: RememberedRegister
    clock: Clock
    profile: Profile
    coordinator: str
    federation: str
    admins: tuple[str, ...]
    revision: Callable[[], int]
    heard: dict[str, Holdings] = field(default_factory=dict)
    _seen_mono: dict[int, float] = field(default_factory=dict)  # era -> when its recovery was first seen here

    async def ended(self) -> None:
        """Eternal while the register is the one that was opened, and while it is at fault."""
        while True:
            await self.clock.sleep(LOOK_S)
            if self.register.fault and await self._over():
                raise RegisterFault("the register was recovered: this coordinator begins anew, with the new era")
            if self.register.fault and await self.register.is_right_again(self.remembered):
                raise RegisterFault("the register is the known one again: this coordinator begins anew")

    # --- agents ---

    async def hello(self, request: agent_pb2.HelloRequest, addresses: tuple[str, ...]) -> agent_pb2.HelloResponse:
        """In a recovery an agent that was restarted is to report, too; before it, nothing is written."""
        recovery, revision = await self._under_way()
        register = self._register_of(recovery)
        entry = await register.store.get(keys.agent(request.site))
        known = decode(entry, AgentRecord) if entry is not None else None
        if known is not None and comes_late(request.after if request.HasField("after") else None, known.document):
            return agent_pb2.HelloResponse(incarnation=known.document.incarnation, ask_again=True)
        last = known.document.incarnation if known is not None and known.document.uid == request.uid else 0
        record = AgentRecord(
            site=request.site,
            uid=request.uid,
            incarnation=max(last, request.last_incarnation) + 1,
            machine_id=request.machine_id,
            sealing_key=request.sealing_key,
            version=request.version,
        )
        changes = Changes().unchanged(keys.agent(request.site), known).unchanged(recovery.key, recovery)
        revision = (await register.commit(changes.put(keys.agent(request.site), record))).revision
        return agent_pb2.HelloResponse(
            register=register_message(register.identity),
            revision=revision,
            incarnation=record.incarnation,
            coordinators=addresses,
        )

    async def renew(self, request: agent_pb2.RenewRequest) -> agent_pb2.RenewResponse:
        """Never a grant. RegisterFault while no recovery is under way: the agent keeps what it holds, and says what."""
        report = read_holdings(request) if request.HasField("holdings") else None
        if report is not None:
            self.heard[report.site] = report
        recovery, revision = await self._under_way()
        if report is not None and report.register_id == recovery.document.register_id:
            revision = await self._keep(report, recovery) or revision
        era = register_message(recovery.document.register_id)
        return agent_pb2.RenewResponse(register=era, revision=revision, seq=request.seq, recovering=True)

    async def _keep(self, report: Holdings, recovery: Stored[Recovery]) -> int:
        """Put a report on record while reports are collected; 0 if nothing was written."""
        if recovery.document.step is not RecoveryStep.COLLECTING:
            return 0
        register, key = self._register_of(recovery), keys.holdings(report.site)
        read = await register.commit(Changes().read(key).read(keys.agent(report.site)))
        before, agent = read.reads[key], read.reads[keys.agent(report.site)]
        speaks = decode(agent, AgentRecord).document if agent is not None else None
        if speaks is not None and speaks.uid == report.uid and speaks.incarnation > report.incarnation:
            raise OldIncarnation(f"incarnation {report.incarnation} does not speak for {report.site}")
        stored = decode(before, Holdings) if before is not None else None
        if stored is not None and stored.document == report:
            return 0
        changes = Changes().unchanged(key, stored).unchanged(recovery.key, recovery).put(key, report)
        return (await register.commit(changes)).revision

    # --- persons ---

    async def state(self) -> control_pb2.RegisterState:
        """What was found, who reports, and what would be decided."""
        return self._state(await look(self.register.store, self.heard))

    async def recover(self, request: control_pb2.RecoverRegisterRequest, actor: str) -> control_pb2.RegisterState:
        """One step further; asked again until nothing is waited for. Conflict: somebody else was quicker, ask again."""
        if request.confirm_federation != self.federation:
            raise InvalidRequest(
                f"the federation whose register is to be recovered is {self.federation}",
                help=f"Type its name: --yes {self.federation}.",
            )
        sight = await look(self.register.store, self.heard)
        if sight.under_way is None:
            if not self.register.fault and sight.recovery is not None:
                return self._state(sight)  # the answer to the last step was lost
            if not self.register.fault:
                raise Refused("the register is the one that was known: there is nothing to recover")
            if await self._over():
                return self._state(sight)
            await self._begin(sight, request, actor)
            sight = await look(self.register.store, self.heard)
        recovery = sight.under_way
        if recovery is not None and recovery.document.step is RecoveryStep.COLLECTING:
            sight = await self._hear_person(sight, recovery, request)
            if not self._waiting_for(sight):
                sight = await self._close_reports(sight)
        if sight.under_way is not None and sight.under_way.document.step is RecoveryStep.WRITING:
            await self._write(sight, actor)
            sight = await look(self.register.store, self.heard)
        return self._state(sight)

    async def _begin(self, sight: Sight, request: control_pb2.RecoverRegisterRequest, actor: str) -> None:
        """From here on every answer of the past is void (H6.3)."""
        found, known = sight.found, self.register.identity
        if found is not None and found.uuid not in (known.uuid, request.replace):
            raise Refused(
                f"what was found is register {found.uuid}, with {len(sight.entries)} documents of its own",
                help="Look whether coordinators ask the right etcd. If it is to be taken over: --replace its uuid.",
            )
        heard = [r.register_id.era for r in self.heard.values() if r.register_id and r.register_id.uuid == known.uuid]
        era = max(known.era, found.era if found is not None else 0, *heard) + 1
        identity = RegisterId(uuid=known.uuid, era=era)
        recovery = Recovery(
            register_id=identity,
            step=RecoveryStep.COLLECTING,
            began=self.clock.now(),
            actor=actor,
            problem=self.register.fault,
            replaced=found.uuid if found is not None and found.uuid != known.uuid else "",
        )
        entry = sight.entries.get(keys.REGISTER_ID)
        guard = Guard.absent(keys.REGISTER_ID) if entry is None else Guard(keys.REGISTER_ID, revision=entry.revision)
        changes = Changes().put(keys.REGISTER_ID, identity).put(keys.RECOVERY, recovery)
        old = [
            key for key in sight.entries if key.startswith(keys.HOLDINGS)
        ]  # of a recovery that a backup brought back
        await self.register.store.commit(Transaction((guard,), tuple(changes.puts), tuple(old[:100])))
        log.warning("register.recovery-begun", era=era, actor=actor, problem=self.register.fault)

    async def _hear_person(
        self, sight: Sight, recovery: Stored[Recovery], request: control_pb2.RecoverRegisterRequest
    ) -> Sight:
        """What a person has said stays said, whoever goes on."""
        sites = {member.site for member in sight.members.members}
        if unknown := ({*request.without, *request.owners.values()} - {NOBODY} - sites) and sites:
            raise InvalidRequest(f"{', '.join(sorted(unknown))}: members are {', '.join(sorted(sites))}")
        for facts in sight.facts():
            if (word := request.owners.get(facts.hub)) and (why := refusal(facts, word)):
                raise Refused(
                    f"{facts.hub} cannot become {word}'s: {why}",
                    help=f"Leave it out; `fedctl move {name_of(facts.hub)}` moves it after the recovery.",
                )
        without = tuple(sorted({*recovery.document.without, *request.without}))
        owners = {**recovery.document.owners, **request.owners}
        said = recovery.document.revise(without=without, owners=owners)
        if said == recovery.document:
            return sight
        await self._register_of(recovery).commit(Changes().unchanged(recovery.key, recovery).put(recovery.key, said))
        return await look(self.register.store, self.heard)

    async def _close_reports(self, sight: Sight) -> Sight:
        """No report counts any more that was not read for the verdicts."""
        recovery = sight.under_way
        assert recovery is not None  # noqa: S101 - for the type checker
        changes = Changes().unchanged(recovery.key, recovery)
        for site in sight.reports:
            changes.unchanged(keys.holdings(site), sight.get(keys.holdings(site), Holdings))
        changes.put(recovery.key, recovery.document.revise(step=RecoveryStep.WRITING))
        await self._register_of(recovery).commit(changes)
        return await look(self.register.store, self.heard)

    async def _write(self, sight: Sight, actor: str) -> None:
        recovery = sight.under_way
        assert recovery is not None  # noqa: S101 - for the type checker
        era, register = recovery.document.register_id, self._register_of(recovery)
        writing = Writing(sight, era, self.clock.now(), actor)
        for facts, verdict in self._verdicts(sight):
            if facts.record is not None and facts.record.epoch.era >= era.era:
                continue  # written, before this coordinator or another one was killed
            await register.commit(writing.hub(facts, verdict).unchanged(recovery.key, recovery))
            log.info("register.hub-recovered", hub=facts.hub, owner=verdict.owner, why=verdict.reason)
        for report in sight.reports.values():
            await register.commit(writing.site(report).unchanged(recovery.key, recovery))
        done = recovery.document.revise(step=RecoveryStep.DONE)
        changes = Changes().unchanged(recovery.key, recovery).put(recovery.key, done)
        changes.put(keys.MEMBERS, writing.members())
        for name in self.admins if not sight.under(keys.USERS, UserRecord) else ():
            changes.put(keys.user(name), UserRecord(name=name, roles=("admin",)))
        await register.commit(changes)
        log.warning("register.recovered", era=era.era, actor=actor)

    # --- what all of them look at ---

    def _verdicts(self, sight: Sight) -> list[tuple[HubFacts, Verdict]]:
        found = ((facts, decide(facts)) for facts in sight.facts())
        return [(facts, verdict) for facts, verdict in found if verdict is not None]

    def _waiting_for(self, sight: Sight) -> list[str]:
        """What keeps the recovery from being decided; empty: nothing."""
        recovery = sight.under_way
        without = set(recovery.document.without) if recovery is not None else set()
        waiting = [f"{site} has not reported" for site in sorted(sight.silent - without)]
        if not sight.members.members:
            waiting.append("no site has reported, and the register names none")
        if recovery is not None and sight.silent and (left_s := self._left_s(sight, recovery)) > 0:
            waiting.append(f"leases of {', '.join(sorted(sight.silent))} may still run, for {left_s:.0f} s")
        undecided = [verdict for _facts, verdict in self._verdicts(sight) if verdict.fate is Fate.UNDECIDED]
        return waiting + [f"a person: whose is {v.hub}? {v.reason}" for v in undecided]

    def _left_s(self, sight: Sight, recovery: Stored[Recovery]) -> float:
        """A silent site may hold armed hubs for L after the era began, and for what its peers had promised it; counted
        from this coordinator's own first sight of the recovery, for wall clocks of hosts are never compared."""
        now, era = self.clock.mono(), recovery.document.register_id.era
        began = self._seen_mono.setdefault(era, now)
        promised_s = max((report.promised_s for report in sight.reports.values()), default=0.0)
        return began + self.profile.takeover_s + min(promised_s, self.profile.takeover_s) - now

    def _state(self, sight: Sight) -> control_pb2.RegisterState:
        recovery = sight.recovery
        step = recovery.document.step.value if recovery is not None else "none"
        message = state_message(sight, self._verdicts(sight), step)
        message.coordinator, message.problem = self.coordinator, self.register.fault
        message.known.CopyFrom(register_message(self.register.identity))
        message.known_revision = max(self.remembered.revision, self.revision())
        if sight.under_way is not None or self.register.fault:
            message.waiting_for.extend(self._waiting_for(sight))
        return message

    def _register_of(self, recovery: Stored[Recovery]) -> Register:
        """The register of the new era, compared in every transaction."""
        return Register(self.register.store, recovery.document.register_id)

    async def _under_way(self) -> tuple[Stored[Recovery], int]:
        """The recovery that is under way, and the revision at which it was read. RegisterFault: there is none."""
        read = await self.register.store.commit(Transaction(reads=(keys.REGISTER_ID, keys.RECOVERY)))
        present = {key: entry for key, entry in read.reads.items() if entry is not None}
        sight = Sight(present, read.revision, {})
        recovery = sight.under_way
        if recovery is None:
            if await self._over(sight):
                raise Unavailable("the register was recovered, and this coordinator begins anew", definite=True)
            raise RegisterFault(self.register.fault or "the register is at fault")
        self._seen_mono.setdefault(recovery.document.register_id.era, self.clock.mono())
        return recovery, read.revision

    async def _over(self, sight: Sight | None = None) -> bool:
        """Whether the register has an era that this coordinator does not serve yet, and nothing is left to recover."""
        try:
            sight = sight or await look(self.register.store, {})
        except (Unavailable, Conflict):
            return False
        known, recovery = self.register.identity, sight.recovery
        newer = sight.found is not None and sight.found.uuid == known.uuid and sight.found.era > known.era
        return newer and recovery is not None and recovery.document.step is RecoveryStep.DONE
