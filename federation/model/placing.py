"""Documents around a placed classroom: the accepted spec, the assignment with its reasons, events, secrets."""

from __future__ import annotations

from pydantic import AwareDatetime

from federation.model.classroom import Classroom
from federation.model.schema import Document, Model


class Generation(Model):
    """One accepted content of a classroom."""

    number: int
    classroom: Classroom


class ClassroomRecord(Document):
    """Key `classroom/<name>`: the accepted classroom. `uid` stays over generations and over retire and restore.
    `former` is the generation that was in force when this one was accepted (`core.in_force`)."""

    uid: str
    generation: int
    classroom: Classroom
    created: AwareDatetime
    changed: AwareDatetime
    actor: str
    request_id: str = ""
    retired: AwareDatetime | None = None
    homes_deleted: bool = False
    former: Generation | None = None


class HostClaim(Document):
    """Key `host/<dns name>`: which hub a host name belongs to, so that two classrooms never share one."""

    hub: str
    name: str


class Verdict(Model):
    """One site's verdict on one classroom, kept for every site."""

    site: str
    fits: bool
    reason: str
    score: int = 0


class Assignment(Document):
    """Key `assignment/<uid>`: where and why."""

    hub: str
    site: str
    standby: str | None = None
    reason: str
    verdicts: tuple[Verdict, ...] = ()
    generation: int


class Event(Document):
    """Key `event/<hub or site>/<id>`: what happened, by whom. Append only."""

    at: AwareDatetime
    hub: str = ""
    site: str = ""
    type: str
    message: str
    actor: str


class SealedVersion(Model):
    """A value that was replaced while a class met that goes on with it."""

    sealed: dict[str, str]
    changed: AwareDatetime


class SealedSecret(Document):
    """Key `secret/<name>`: ciphertext only, one sealed box per allowed agent (base64). `earlier`, newest first: values
    that classes in a meeting keep until its end (`core.in_force`)."""

    name: str
    sealed: dict[str, str]
    changed: AwareDatetime
    actor: str
    earlier: tuple[SealedVersion, ...] = ()

    @property
    def versions(self) -> tuple[SealedVersion, ...]:
        """Newest first."""
        return (SealedVersion(sealed=self.sealed, changed=self.changed), *self.earlier)


class UserRecord(Document):
    """Key `user/<name>`: the roles of a person (admin, operator, viewer)."""

    name: str
    roles: tuple[str, ...]
