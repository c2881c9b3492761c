"""Admission: what makes a request durable. When a method returns, the change survives any single failure (I4).

Any replica may admit: each change is one transaction guarded by the revisions that were read, so two admins who place
the same name at once get one winner and one `Conflict`.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from random import Random

import structlog

from federation.coordinator.events import Journalist
from federation.coordinator.naming import hosts_of
from federation.coordinator.retired import homes_of, retired_before
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.wanted import auth_secret
from federation.core.in_force import generation_in_force
from federation.core.passwords import draw_password
from federation.model.classroom import Classroom
from federation.model.errors import Conflict, InvalidRequest, NotFound, Refused, RegisterFault
from federation.model.identity import HubUid, hub_uid, name_of
from federation.model.operation import Operation, OperationKind, Step
from federation.model.ownership import AgentRecord
from federation.model.placing import ClassroomRecord, HostClaim, SealedSecret
from federation.runtime.sealing import seal
from federation.store import keys
from federation.store.register import Changes, Register, Stored, decode

log = structlog.get_logger(__name__)

UID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
UID_LENGTH = 6
HEX = "0123456789abcdef"


@dataclass(frozen=True, slots=True)
class Admitted:
    """What became durable. `generated` holds secrets that are shown once and never again."""

    record: Stored[ClassroomRecord]
    operation: Operation
    changed: bool
    generated: dict[str, str]


@dataclass(frozen=True, slots=True)
class PlaceOrder:
    """How a place was asked for. `based_on_revision` is the live revision that the file was compared with, 0: there was
    none; `based_on_generation` the generation that the file was taken from, 0: it does not say."""

    actor: str
    request_id: str = ""
    based_on_revision: int = 0
    based_on_generation: int = 0
    overwrite: bool = False
    now: bool = False
    offered_password: str = ""

    def refuse_if_older(self, live: Stored[ClassroomRecord]) -> None:
        """Raise Conflict if the live classroom is newer than what the file was made from."""
        older = older_than(live, self.based_on_generation)
        if self.overwrite or not (older or self.based_on_revision != live.revision):
            return
        raise Conflict(
            older or _changed_since(live.document, "your file was compared"),
            help="Compare with `fedctl place --plan`; `--overwrite` applies your file all the same.",
        )


def older_than(live: Stored[ClassroomRecord], generation: int) -> str:
    """Why a file that was taken from this generation (0: it does not say) is refused; empty: it is not older."""
    if not 0 < generation < live.document.generation:
        return ""
    return _changed_since(live.document, f"your file was taken from generation {generation}")


def _changed_since(record: ClassroomRecord, since: str) -> str:
    return (
        f"{record.classroom.name} was changed by {record.actor} since {since}: it is at generation "
        f"{record.generation} now, and nothing was done"
    )


@dataclass(slots=True)
class Admission:
    """Place, retire and restore, up to the point where the leader's loops take over."""

    register: Register
    snapshot: Snapshot
    journalist: Journalist
    random: Random

    async def place(self, classroom: Classroom, order: PlaceOrder) -> Admitted:
        """Accept a new classroom or a new generation; the same content again changes nothing."""
        name = classroom.name
        stored = await self.register.read(keys.classroom(name), ClassroomRecord)
        if stored is None:
            return await self._place_new(classroom, None, order)
        operation = await self.register.read(keys.operation(stored.document.uid), Operation)
        if order.request_id and stored.document.request_id == order.request_id and operation is not None:
            # the answer to the first attempt was lost: what it had drawn is said again
            needed = not classroom.spec.auth.secret and stored.document.generation == 1 and order.offered_password
            generated = {"password": order.offered_password} if needed else {}
            return Admitted(stored, operation.document, changed=False, generated=generated)
        if stored.document.retired is not None:
            if operation is not None and not operation.document.done:
                raise Refused(f"{name} is still being retired", help=f"`fedctl watch {name}`, then place it again.")
            return await self._place_new(classroom, stored, order)
        if stored.document.classroom == classroom and operation is not None:
            running = await self._hurry(operation) if order.now else operation.document
            return Admitted(stored, running, changed=False, generated={})
        order.refuse_if_older(stored)
        if operation is not None:
            refuse_while_moving(operation.document)
        return await self._place_again(classroom, stored, operation, order)

    async def _hurry(self, operation: Stored[Operation]) -> Operation:
        """--now for a change that was accepted already and waits for the end of a meeting."""
        running = operation.document
        if running.kind is not OperationKind.PLACE or running.step is not Step.ADMITTED or running.now:
            return running
        hurried = operation.document.revise(now=True)
        await self.register.commit(Changes().unchanged(operation.key, operation).put(operation.key, hurried))
        return hurried

    async def retire(self, name: str, *, delete_homes: bool, actor: str) -> Admitted:
        """Order the end of a hub, given by its name or uid. Homes stay unless `delete_homes`."""
        stored, operation = await self.live(name)
        record = stored.document
        if record.retired is not None and (record.homes_deleted or not delete_homes):
            return Admitted(stored, operation.document, changed=False, generated={})
        if record.retired is not None and not operation.document.done:
            raise Refused(f"{name} is still being retired", help=f"`fedctl watch {name}`, then delete its homes.")
        refuse_while_moving(operation.document)
        retired = record.revise(retired=self.journalist.clock.now(), actor=actor, homes_deleted=delete_homes)
        order = self.operation(OperationKind.RETIRE, retired, actor, delete_homes=delete_homes)
        changes = Changes().unchanged(stored.key, stored).unchanged(operation.key, operation)
        changes.put(stored.key, retired).put(operation.key, order)
        if record.retired is None:  # else its host names were given up then, and may be another's
            in_force = generation_in_force(record, operation.document)
            for host in {*hosts_of(record.classroom), *hosts_of(in_force.classroom)}:
                changes.delete(keys.host(host))
        self.journalist.add(changes, "retire.admitted", f"by {actor}", hub=record.uid, actor=actor)
        committed = await self.register.commit(changes)
        return Admitted(Stored(stored.key, retired, committed.revision), order, changed=True, generated={})

    async def restore(self, name: str, *, actor: str) -> Admitted:
        """Undo a retirement: the same hub, with its homes, at a new epoch. By its uid also one whose name was taken by
        a later class, if the name is free again."""
        stored, operation = await self.live(name)
        record = stored.document
        if record.retired is None:
            self._refuse_if_others_wait(name, record)
            return Admitted(stored, operation.document, changed=False, generated={})
        if record.homes_deleted:
            raise Refused(f"{name}: its homes were deleted with it, there is nothing to restore; place it anew")
        if not operation.document.done:
            raise Refused(f"{name} is still being retired", help=f"`fedctl watch {name}`, then restore it.")
        fields = {name: getattr(record, name) for name in type(record).model_fields}
        generation = record.generation + 1
        live = ClassroomRecord.model_validate({**fields, "retired": None, "former": None, "generation": generation})
        order = self.operation(OperationKind.PLACE, live, actor)
        key = keys.classroom(record.classroom.name)
        changes = Changes().unchanged(stored.key, stored).unchanged(operation.key, operation)
        if stored.key != key:
            await self._step_aside(changes, record)
            changes.delete(stored.key)
        changes.put(key, live).put(operation.key, order)
        await self._claim_hosts(changes, live.classroom, HubUid(record.uid))
        self.journalist.add(changes, "restore.admitted", f"by {actor}", hub=record.uid, actor=actor)
        committed = await self.register.commit(changes)
        return Admitted(Stored(key, live, committed.revision), order, changed=True, generated={})

    def _refuse_if_others_wait(self, name: str, live: ClassroomRecord) -> None:
        """Whoever restores a class that runs means another one of its name, if there is any."""
        older = retired_before(self.snapshot, name)
        if name == live.uid or not older:
            return
        known = ", ".join(f"{r.uid} (homes: {homes_of(self.snapshot, r.uid) or 'not reported'})" for r in older)
        raise Refused(
            f"{name} is live as {live.uid}, so there is nothing to restore under this name; retired before it: {known}",
            help=f"Retire {name} first, then `fedctl restore {older[-1].uid}`.",
        )

    async def _step_aside(self, changes: Changes, older: ClassroomRecord) -> None:
        """The class that has the name now is kept by its uid; Refused while it is live."""
        name = older.classroom.name
        later, operation = await self.live(name)
        if later.document.retired is None or not operation.document.done:
            raise Refused(
                f"{older.uid} cannot be restored: its name {name} belongs to {later.document.uid}",
                help=f"Retire {name} and wait until that is done, then restore {older.uid}; its homes stay meanwhile.",
            )
        changes.unchanged(later.key, later).unchanged(operation.key, operation)
        changes.put(keys.retired(later.document.uid), later.document)

    async def live(self, name: str) -> tuple[Stored[ClassroomRecord], Stored[Operation]]:
        """A classroom by its name or uid, and its newest operation; NotFound without either."""
        stored = await find_classroom(self.register, name)
        if stored is None:
            raise NotFound(f"no classroom is named {name}")
        operation = await self.register.read(keys.operation(stored.document.uid), Operation)
        if operation is None:
            raise NotFound(f"{name} has no operation record: the register was changed by hand")
        return stored, operation

    async def _place_new(
        self, classroom: Classroom, old: Stored[ClassroomRecord] | None, asked: PlaceOrder
    ) -> Admitted:
        """A new uid: this class never meets the homes of an earlier one of the same name."""
        now, actor = self.journalist.clock.now(), asked.actor
        hub = hub_uid(classroom.name, self._draw(UID_ALPHABET, UID_LENGTH))
        record = ClassroomRecord(
            uid=hub,
            generation=1,
            classroom=classroom,
            created=now,
            changed=now,
            actor=actor,
            request_id=asked.request_id,
        )
        where = keys.classroom(classroom.name)
        changes = Changes().unchanged(where, old).put(where, record)
        if old is not None:
            changes.put(keys.retired(old.document.uid), old.document)
        order = self.operation(OperationKind.PLACE, record, actor)
        changes.absent(keys.operation(hub)).put(keys.operation(hub), order)
        await self._claim_hosts(changes, classroom, hub)
        generated = await self._add_secret(changes, record, asked)
        key = await self.sealed(hub, self._draw(HEX, 64).encode(), classroom.spec.placement.allow, actor)
        changes.put(keys.home_key(hub), key)  # of the copies of its homes; nobody but its sites ever sees it
        self.journalist.add(changes, "place.admitted", f"generation 1 by {actor}", hub=hub, actor=actor)
        committed = await self.register.commit(changes)
        return Admitted(Stored(where, record, committed.revision), order, changed=True, generated=generated)

    async def _place_again(
        self,
        classroom: Classroom,
        stored: Stored[ClassroomRecord],
        operation: Stored[Operation] | None,
        asked: PlaceOrder,
    ) -> Admitted:
        before, actor = stored.document, asked.actor
        former = generation_in_force(before, operation.document if operation else None)
        record = before.revise(
            classroom=classroom,
            generation=before.generation + 1,
            changed=self.journalist.clock.now(),
            actor=actor,
            request_id=asked.request_id,
            former=former,
        )
        order = self.operation(OperationKind.PLACE, record, actor).revise(now=asked.now)
        changes = Changes().unchanged(stored.key, stored).put(stored.key, record)
        changes.unchanged(keys.operation(record.uid), operation).put(keys.operation(record.uid), order)
        await self._claim_hosts(changes, classroom, HubUid(record.uid))
        # what the former generation holds is given up only when the new one comes into force
        for host in set(hosts_of(before.classroom)) - set(hosts_of(classroom)) - set(hosts_of(former.classroom)):
            changes.delete(keys.host(host))
        generated = await self._add_secret(changes, record, asked)
        message = f"generation {record.generation} by {actor}"
        self.journalist.add(changes, "place.admitted", message, hub=record.uid, actor=actor)
        committed = await self.register.commit(changes)
        return Admitted(Stored(stored.key, record, committed.revision), order, changed=True, generated=generated)

    async def _claim_hosts(self, changes: Changes, classroom: Classroom, hub: HubUid) -> None:
        hosts = hosts_of(classroom)
        for host in hosts:
            stored = await self.register.read(keys.host(host), HostClaim)
            if stored is not None and stored.document.hub != hub:
                raise Refused(f"host name {host} belongs to classroom {stored.document.name}")
            changes.unchanged(keys.host(host), stored)
            changes.put(keys.host(host), HostClaim(hub=hub, name=classroom.name))

    async def _add_secret(self, changes: Changes, record: ClassroomRecord, asked: PlaceOrder) -> dict[str, str]:
        """A named secret must exist; where the file names none, a password is sealed and shown once: the one that was
        offered, else a drawn one."""
        name = auth_secret(record)
        stored = await self.register.read(keys.secret(name), SealedSecret)
        if stored is not None:
            return {}
        if record.classroom.spec.auth.secret:
            raise Refused(
                f"{record.classroom.name}: secret {name} does not exist", help=f"Set it: `fedctl secret set {name}`."
            )
        password = asked.offered_password or draw_password(self.random)
        allowed = record.classroom.spec.placement.allow
        secret = await self.sealed(name, password.encode(), allowed, asked.actor)
        changes.absent(keys.secret(name)).put(keys.secret(name), secret)
        return {"password": password}

    async def sealed(self, name: str, value: bytes, sites: tuple[str, ...], actor: str) -> SealedSecret:
        """Seal to the agents of `sites` (empty: of every site); Refused if none of them has ever said hello. Who is there
        is read from the register: a site that this replica has not heard of yet could not stand by."""
        read = await self.register.commit(Changes().range(keys.SITES).range(keys.AGENTS))
        joined = {keys.tail(entry.key) for entry in read.ranges[keys.SITES]}
        boxes: dict[str, str] = {}
        for entry in read.ranges[keys.AGENTS]:
            site = keys.tail(entry.key)
            if site not in joined or (sites and site not in sites):
                continue
            try:
                if key := decode(entry, AgentRecord).document.sealing_key:
                    boxes[site] = b64encode(seal(key, value)).decode()
            except (RegisterFault, InvalidRequest) as error:  # one site that nobody can seal to keeps no class waiting
                log.warning("secret.not-sealed", name=name, site=site, error=error.message)
        if not boxes:
            wanted = ", ".join(sites) or "any site"
            raise Refused(
                f"secret {name} cannot be sealed: no agent of {wanted} has joined yet",
                help="Start the agent of an allowed site first; `fedctl sites` shows who is there.",
            )
        return SealedSecret(name=name, sealed=boxes, changed=self.journalist.clock.now(), actor=actor)

    def operation(
        self, kind: OperationKind, record: ClassroomRecord, actor: str, *, delete_homes: bool = False
    ) -> Operation:
        """A new operation that was accepted now."""
        now = self.journalist.clock.now()
        operation = Operation(
            id=f"{kind.value}-{record.uid}-{record.generation}-{self.random.getrandbits(24):06x}",
            kind=kind,
            hub=record.uid,
            name=record.classroom.name,
            generation=record.generation,
            created=now,
            actor=actor,
            delete_homes=delete_homes,
        )
        return operation.finished(Step.ADMITTED, now, f"accepted from {actor}")

    def _draw(self, alphabet: str, length: int) -> str:
        return "".join(self.random.choice(alphabet) for _ in range(length))


async def find_classroom(register: Register, name: str) -> Stored[ClassroomRecord] | None:
    """A classroom by its name, or by a uid: that of one whose name was taken by a later one, too."""
    stored = await register.read(keys.classroom(name), ClassroomRecord)
    if stored is None:
        live = await register.read(keys.classroom(name_of(name)), ClassroomRecord)
        same = live is not None and live.document.uid == name
        stored = live if same else await register.read(keys.retired(name), ClassroomRecord)
    return stored


def require_typed_name(name: str, typed: str) -> None:
    """Deleting homes needs the name typed; InvalidRequest otherwise."""
    if typed != name:
        raise InvalidRequest(f"deleting the homes of {name} needs its name typed, got {typed!r}")


def refuse_while_moving(operation: Operation) -> None:
    """A class that is on its way cannot be changed or retired: half of what it is lies between two sites."""
    if operation.kind is OperationKind.MOVE and not operation.done:
        raise Refused(
            f"{operation.name} is being moved from {operation.source} to {operation.target}",
            help=f"Wait (`fedctl watch {operation.name}`), or `fedctl move {operation.name} --cancel` first.",
        )
