"""Secrets and site membership: the small writes of the control API. Secret values are sealed at once and forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from federation.api.v1 import control_pb2
from federation.coordinator.admission import Admission
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.views import stamp
from federation.coordinator.wanted import auth_secret
from federation.core.calendar import current_window
from federation.core.in_force import secret_in_force
from federation.model.classroom import ClassroomSpec
from federation.model.errors import Conflict, InvalidRequest, NotFound, Refused
from federation.model.identity import DNS_LABEL, Members
from federation.model.placing import ClassroomRecord, SealedSecret, SealedVersion
from federation.model.status import SiteRecord
from federation.store import keys
from federation.store.register import Changes

MOST_SECRET_BYTES = 64 * 1024
JOIN_ATTEMPTS = 4
KINDS = ("local", "kubernetes")  # those whose drivers exist


@dataclass(slots=True)
class SecretsAndSites:
    """Guarded writes, one transaction each."""

    admission: Admission
    snapshot: Snapshot

    async def set_secret(
        self, name: str, value: bytes, sites: tuple[str, ...], actor: str, *, at_once: bool = False
    ) -> control_pb2.SetSecretResponse:
        """Seal `value` to the agents of `sites` (empty: all) and store the boxes. Hubs restart with a new value, so a
        class that meets keeps the former one until its meeting ends, unless `at_once`."""
        _require_label("secret", name)
        if not 0 < len(value) <= MOST_SECRET_BYTES:
            raise InvalidRequest(f"secret {name} has {len(value)} bytes; 1 to {MOST_SECRET_BYTES} are allowed")
        unknown = set(sites) - {site.name for site in self.snapshot.sites()}
        if unknown:
            raise InvalidRequest(f"secret {name}: no site is named {', '.join(sorted(unknown))}")
        secret = await self.admission.sealed(name, value, sites, actor)
        before = await self.admission.register.read(keys.secret(name), SealedSecret)
        if before is not None and not at_once:
            secret = secret.revise(earlier=self._kept(before.document))
        changes = Changes().unchanged(keys.secret(name), before).put(keys.secret(name), secret)
        self.admission.journalist.add(
            changes, "secret.set", f"{name} for {', '.join(sorted(secret.sealed))}", site="secrets", actor=actor
        )
        await self.admission.register.commit(changes)
        return control_pb2.SetSecretResponse(secret=self._info(secret), notes=self._notes(secret))

    def list_secrets(self) -> list[control_pb2.SecretInfo]:
        """Names, who can open them and who uses them; never values."""
        return [self._info(stored.document) for stored in self.snapshot.under(keys.SECRETS, SealedSecret)]

    async def remove_secret(self, name: str) -> None:
        """Remove a secret that no live classroom uses."""
        stored = await self.admission.register.read(keys.secret(name), SealedSecret)
        if stored is None:
            raise NotFound(f"no secret is named {name}")
        users = self._used_by(name)
        if users:
            raise Refused(f"secret {name} is used by {', '.join(users)}", help="Retire them or change auth.secret.")
        await self.admission.register.commit(Changes().unchanged(stored.key, stored).delete(stored.key))

    async def join(self, request: control_pb2.JoinSiteRequest, actor: str) -> None:
        """Make (name, uid) a member; the same pair again changes nothing. A new uid for a known name is a new site."""
        for _attempt in range(JOIN_ATTEMPTS):
            try:
                return await self._join(request, actor)
            except Conflict:  # another site joined, or an agent said hello, at the same moment: nothing to ask a person
                continue
        return await self._join(request, actor)

    async def _join(self, request: control_pb2.JoinSiteRequest, actor: str) -> None:
        _require_label("site", request.name)
        if request.kind not in KINDS:
            raise InvalidRequest(f"site {request.name}: kind {request.kind!r} is not one of {', '.join(KINDS)}")
        if not request.uid:
            raise InvalidRequest(f"site {request.name}: the uid of its certificate is missing")
        register = self.admission.register
        stored = await register.read(keys.MEMBERS, Members)
        members = stored.document if stored is not None else Members()
        known = members.uid_of(request.name)
        if known == request.uid:
            return
        if known is not None:
            raise Refused(
                f"site {request.name} is a member with another uid ({known})",
                help="Replacing a site is an operation of its own; use another name, or the certificate of that uid.",
            )
        site = SiteRecord(
            name=request.name,
            uid=request.uid,
            kind=request.kind,
            cpu_millis=request.capacity.cpu_millis,
            memory_bytes=request.capacity.memory_bytes,
        )
        changes = Changes().unchanged(keys.MEMBERS, stored).absent(keys.site(request.name))
        changes.put(keys.MEMBERS, members.joined(request.name, request.uid)).put(keys.site(request.name), site)
        self.admission.journalist.add(changes, "site.joined", f"kind {request.kind}", site=request.name, actor=actor)
        await register.commit(changes)

    def _info(self, secret: SealedSecret) -> control_pb2.SecretInfo:
        return control_pb2.SecretInfo(
            name=secret.name,
            sites=sorted(secret.sealed),
            used_by=self._used_by(secret.name),
            changed=stamp(secret.changed),
            actor=secret.actor,
        )

    def _kept(self, before: SealedSecret) -> tuple[SealedVersion, ...]:
        """The values that classes in a meeting go on with, newest first."""
        now, kept = self.admission.journalist.clock.now(), set[datetime]()
        for record, spec in self._users(before.name):
            if current_window(spec, now) is not None:
                version, _until = secret_in_force(before, spec, record.created, now)
                kept.add(version.changed)
        return tuple(version for version in before.versions if version.changed in kept)

    def _notes(self, secret: SealedSecret) -> list[str]:
        """What a new value does to each class that uses the secret, and when."""
        now, notes = self.admission.journalist.clock.now(), []
        for record, spec in self._users(secret.name):
            _version, window = secret_in_force(secret, spec, record.created, now)
            then = "its hub restarts with this value within seconds; running servers live on"
            if window is not None:
                until = window.end.strftime("%H:%M UTC")
                then = f"its hub restarts with this value after the class that ends at {until}, or with --now"
            notes.append(f"{record.classroom.name}: {then}")
        return sorted(notes)

    def _used_by(self, name: str) -> list[str]:
        return sorted({record.classroom.name for record, _spec in self._users(name)})

    def _users(self, name: str) -> Iterator[tuple[ClassroomRecord, ClassroomSpec]]:
        """Live classes that use the secret now or will with their newest generation, with the spec in force."""
        for stored in self.snapshot.under(keys.CLASSROOMS, ClassroomRecord):
            record = stored.document
            if record.retired is not None:
                continue
            in_force = self.snapshot.in_force(record.uid)
            if name in (auth_secret(record), auth_secret(record, in_force)):
                yield record, (in_force.classroom if in_force is not None else record.classroom).spec


def _require_label(what: str, name: str) -> None:
    if not DNS_LABEL.fullmatch(name):
        raise InvalidRequest(f"{what} name {name!r}: letters a-z, digits and dashes, at most 63; e.g. oauth-atm101")
