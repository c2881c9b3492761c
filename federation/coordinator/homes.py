"""For the help desk: which copies a student's home can be restored from, and one of them into a folder beside it.

Only recorded copies are offered (PROTOCOL.md H7). The order goes to the hub's owner, over the leader's session with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from federation.api.v1 import agent_pb2, control_pb2
from federation.coordinator.admission import refuse_while_moving
from federation.coordinator.copying import copies_password, copy_message
from federation.coordinator.events import Journalist
from federation.coordinator.sessions import Sessions
from federation.coordinator.snapshot import Snapshot
from federation.coordinator.views import stamp
from federation.coordinator.wanted import epoch_message
from federation.core.copy_history import as_of, copies_of, restored_folder
from federation.core.home_names import slug
from federation.model.errors import DriverError, InvalidRequest, NotFound, Refused, Unavailable
from federation.model.homes import HomeHistory, RecordedCopy
from federation.model.ownership import Ownership
from federation.model.placing import ClassroomRecord
from federation.store import keys
from federation.store.register import Changes, Register, Stored

LIMIT_S = 1800.0


@dataclass(frozen=True, slots=True)
class HomesDesk:
    """`list_copies` at any replica, `restore` at the leader; `require_leader` raises NotLeader at the others."""

    register: Register
    snapshot: Snapshot
    sessions: Sessions
    journalist: Journalist
    require_leader: Callable[[], int]

    def list_copies(self, stored: Stored[ClassroomRecord], user: str) -> control_pb2.ListHomesResponse:
        """Newest first. With `user` only those that have a home of theirs; NotFound if nobody is called so."""
        hub, history = stored.document.uid, self._history(stored.document.uid)
        found, names = self._copies(stored.document, user), self._names(hub)
        index = self.snapshot.home(hub)
        traces = history.homes if history is not None else {}
        shown = {name: trace for name, trace in traces.items() if not user or name == slug(user)}
        newest = {name: next(copy for copy in copies_of(history, name)) for name in shown if copies_of(history, name)}
        return control_pb2.ListHomesResponse(
            name=stored.document.classroom.name,
            uid=hub,
            items=[copy_view(copy) for copy in found],
            homes=[
                control_pb2.Home(
                    name=names.get(name, name),
                    bytes=shown[name].bytes,
                    changed=stamp(shown[name].changed),
                    copied=stamp(copy.taken),
                )
                for name, copy in newest.items()
            ],
            unread=index.document.unread if index is not None else (),
            uncopied=sorted(who for name, who in names.items() if name not in traces and not user),
        )

    async def restore(
        self, stored: Stored[ClassroomRecord], request: control_pb2.RestoreHomeRequest, actor: str
    ) -> control_pb2.RestoreHomeResponse:
        """Put the home as of `request.at` beside what the student has now. The same again finds it there."""
        self.require_leader()
        record, user = stored.document, request.user
        copy = self._choose(record, user, _time(request.at))
        ownership = self._owned(record)
        operation = self.snapshot.operation(record.uid)
        if operation is not None:  # what is put beside a home after the final copy would stay behind
            refuse_while_moving(operation.document)
        site, hub, folder = ownership.owner or "", record.uid, restored_folder(copy)
        password = copies_password(self.snapshot, hub, site)
        if not password:
            raise Refused(f"{site} cannot open the copies of {record.classroom.name}: no password was sealed to it")
        ask = agent_pb2.PlaceHomeAsk(
            copy=copy_message(hub, copy.copy_),
            epoch=epoch_message(ownership.epoch),
            user=user,
            folder=folder,
            password=password,
        )
        try:
            answer = await self.sessions.ask(site, agent_pb2.Ask(place_home=ask), limit_s=LIMIT_S)
        except Unavailable as error:  # no other coordinator could do better
            raise Refused(
                error.message, help="`fedctl sites` shows when the site is heard again; then repeat."
            ) from error
        if answer.error:
            raise DriverError(f"{user}: not restored at {site}: {answer.error}")
        if answer.placed.done:
            message = f"{user} as of {stamp(copy.taken)} into {folder}"
            changes = self.journalist.add(Changes(), "home.restored", message, hub=hub, site=site, actor=actor)
            await self.register.commit(changes)
        return control_pb2.RestoreHomeResponse(
            copy=copy_view(copy), site=site, folder=folder, there=not answer.placed.done
        )

    def _choose(self, record: ClassroomRecord, user: str, at: datetime) -> RecordedCopy:
        if not user:
            raise InvalidRequest("whose home?", help="`fedctl homes HUB USER restore --at TIME`")
        found, name = self._copies(record, user), record.classroom.name
        if not found:
            raise NotFound(
                f"no copy of {name} has a home of {user}", help=f"`fedctl homes {name} list` shows the homes."
            )
        copy = as_of(found, at)
        if copy is None:
            oldest = f"{stamp(found[-1].taken)}, by {found[-1].copy_.site}"
            raise NotFound(
                f"no copy of the home of {user} is as old as {stamp(at)}: the oldest is of {oldest}",
                help=f"`fedctl homes {name} {user} list` shows all of them.",
            )
        return copy

    def _owned(self, record: ClassroomRecord) -> Ownership:
        ownership, name = self.snapshot.ownership(record.uid), record.classroom.name
        if ownership is None or ownership.document.owner is None:
            help_ = f"`fedctl restore {name}` brings it back." if record.retired else f"`fedctl describe {name}`"
            raise Refused(f"no site owns {name} now, so there is no home to put anything into", help=help_)
        return ownership.document

    def _copies(self, record: ClassroomRecord, user: str) -> tuple[RecordedCopy, ...]:
        history = self._history(record.uid)
        home = slug(user) if user else ""
        if user and home not in self._names(record.uid) and (history is None or home not in history.homes):
            name = record.classroom.name
            raise NotFound(f"nobody in {name} is called {user}", help=f"`fedctl homes {name} list` shows the homes.")
        return copies_of(history, home)

    def _history(self, hub: str) -> HomeHistory | None:
        stored = self.snapshot.get(keys.home_history(hub), HomeHistory)
        return stored.document if stored is not None else None

    def _names(self, hub: str) -> dict[str, str]:
        """Safe name -> student, of everybody the hub knows."""
        roster = self.snapshot.roster(hub)
        return {slug(user.name): user.name for user in roster.document.users} if roster is not None else {}


def copy_view(copy: RecordedCopy) -> control_pb2.HomeCopy:
    """The wire form."""
    return control_pb2.HomeCopy(
        taken=stamp(copy.taken),
        site=copy.copy_.site,
        epoch=epoch_message(copy.epoch),
        snapshot=copy.copy_.snapshot,
        homes=copy.homes,
        files=copy.files,
        bytes=copy.bytes,
        unread=copy.unread,
    )


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise InvalidRequest(f"{text!r} is not a time with its zone", help="For example 2026-09-01T14:05:00Z.")
    return at
