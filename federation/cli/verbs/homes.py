"""List the copies of a class's homes; put a student's home, as it was, beside what they have now.

fedctl homes atm101 list                                   every copy that can be restored, newest first
fedctl homes atm101 s01 list                               those that have a home of s01
fedctl homes atm101 s01 restore --at 2026-09-01T14:05      as it was at or before that time
fedctl homes atm101 s01 restore --at 3h                    as it was three hours ago

A restore never overwrites: the home comes into a new folder `restored-TIME` of itself, named by the time of the copy in
UTC, while the student works. The same again finds it there. A time without a zone is one of this machine's.
"""

from __future__ import annotations

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.connecting import add_document_output, connected
from federation.cli.documents import age, epoch_text, marked, plain, tell_staleness
from federation.cli.numbers import seconds
from federation.model.errors import ExitCode, InvalidRequest

AGO = re.compile(r"(\d+)([smhdw])")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
MIB = 2**20


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("name", metavar="NAME", help="name or uid of the class")
    parser.add_argument("words", nargs="+", metavar="ACTION", help="`list`, `USER list`, or `USER restore`")
    parser.add_argument(
        "--at", metavar="TIME", help="for restore: e.g. 2026-09-01T14:05, with a zone or not; or 3h ago"
    )
    parser.add_argument(
        "--timeout", type=seconds, default=600.0, metavar="S", help="for restore: seconds to wait (600)"
    )
    add_document_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """List or restore."""
    *users, action = arguments.words
    if action == "list" and len(users) <= 1:
        return _list(arguments, users[0] if users else "")
    if action != "restore" or len(users) != 1:
        raise InvalidRequest("`fedctl homes NAME [USER] list` or `fedctl homes NAME USER restore --at TIME`")
    if not arguments.at:
        raise InvalidRequest(
            "restore needs --at TIME: as of when?",
            help=f"`fedctl homes {arguments.name} {users[0]} list` shows the copies.",
        )
    return _restore(arguments, users[0])


def _list(arguments: argparse.Namespace, user: str) -> int:
    with connected(arguments) as client:
        answer = client.call("ListHomes", control_pb2.ListHomesRequest(name=arguments.name, user=user))
    tell_staleness(answer.freshness)
    if arguments.output != "table":
        output.document(marked(_document(answer), answer.freshness), arguments.output)
        return ExitCode.OK
    if not answer.items:
        output.say(f"{answer.name}: no copies{f' with a home of {user}' if user else ''} yet")
    else:
        output.table(("TAKEN", "AGE", "SITE", "EPOCH", "HOMES", "SIZE", "UNREAD"), map(_row, answer.items))
    for home in answer.homes if user else ():
        output.say(
            f"{home.name}: {home.bytes / MIB:.1f} MiB in the copy of {home.copied}, last changed in {home.changed}"
        )
    if answer.unread and not user:
        output.say(f"the newest copy could not read {len(answer.unread)} files, such as {answer.unread[0]}")
    if answer.uncopied:
        output.say(f"in no copy, perhaps because they have no home yet: {', '.join(answer.uncopied)}")
    return ExitCode.OK


def _document(answer: control_pb2.ListHomesResponse) -> dict[str, Any]:
    """A list as `kubectl -o json` has them; what is about the class is its metadata's and status'."""
    body = plain(answer)
    items = [_item(answer.uid, copy) for copy in answer.items]
    status = {key: body.get(key, []) for key in ("homes", "unread", "uncopied")}
    metadata = {"name": answer.name, "uid": answer.uid}
    return {"apiVersion": "hubfed/v1", "kind": "HomeCopyList", "metadata": metadata, "items": items, "status": status}


def _item(hub: str, copy: control_pb2.HomeCopy) -> dict[str, Any]:
    status = {
        "taken": copy.taken,
        "site": copy.site,
        "epoch": epoch_text(copy.epoch),
        "homes": copy.homes,
        "files": copy.files,
        "bytes": copy.bytes,
        "unread": copy.unread,
    }
    return {
        "apiVersion": "hubfed/v1",
        "kind": "HomeCopy",
        "metadata": {"name": copy.snapshot, "hub": hub},
        "status": status,
    }


def _row(copy: control_pb2.HomeCopy) -> tuple[str, ...]:
    unread = str(copy.unread) if copy.unread else ""
    size = f"{copy.bytes / MIB:.1f} MiB"
    return (copy.taken, f"{age(copy.taken)} ago", copy.site, epoch_text(copy.epoch), str(copy.homes), size, unread)


def _restore(arguments: argparse.Namespace, user: str) -> int:
    request = control_pb2.RestoreHomeRequest(name=arguments.name, user=user, at=_time(arguments.at))
    with connected(arguments) as client:
        answer = client.call("RestoreHome", request, timeout_s=arguments.timeout, repeatable=False)
    if arguments.output != "table":
        output.document({"apiVersion": "hubfed/v1", "kind": "RestoredHome", "status": plain(answer)}, arguments.output)
        return ExitCode.OK
    how = "was there already" if answer.there else "is there now"
    output.data(f"{user}: {answer.folder} {how}, in the home at {answer.site}; as of {answer.copy.taken}")
    return ExitCode.OK


def _time(text: str) -> str:
    """RFC 3339 in UTC."""
    ago = AGO.fullmatch(text.removesuffix(" ago"))
    try:
        if ago is not None:
            at = datetime.now(UTC) - timedelta(seconds=int(ago[1]) * UNITS[ago[2]])  # noqa: TID251 - a person's clock
        else:
            at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"{text!r} is not a time", help="For example 2026-09-01T14:05, 2026-09-01T14:05:00-05:00, or 3h."
        ) from None
    return at.isoformat()
