"""From the API's messages to what is shown: JSON documents in Kubernetes' shape, and table rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from google.protobuf.json_format import MessageToDict

from federation.api.v1 import control_pb2, types_pb2
from federation.cli import output

API_VERSION = "hubfed/v1"
HEAD = ("NAME", "SITE", "PHASE", "EPOCH", "URL", "AGE")
WIDE = (*HEAD, "STUDENTS", "SERVERS", "GENERATION", "MODE", "UID")


def plain(message: Any) -> Any:
    """A message as plain data; empty fields are left out. 64-bit numbers stay numbers."""
    return _numbers(MessageToDict(message, preserving_proto_field_name=True))


def hub_document(hub: types_pb2.Hub) -> dict[str, Any]:
    """metadata, spec, status, as `kubectl -o json` has them."""
    body = plain(hub)
    if hub.HasField("spec"):  # with its zeros, so that it can be placed again
        body["spec"] = MessageToDict(
            hub.spec, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
    status = body.setdefault("status", {})
    status.setdefault("site", "")
    status["epoch"] = epoch_text(hub.status.epoch)
    status.setdefault("url", "")
    status.setdefault("conditions", [])
    return {"apiVersion": API_VERSION, "kind": "Classroom", **body}


def site_document(site: control_pb2.Site) -> dict[str, Any]:
    """A site in the same shape: what was said when it joined is its spec, all else its status."""
    status = plain(site)
    metadata = {key: status.pop(key) for key in ("name", "uid") if key in status}
    spec = {"kind": status.pop("kind", "")}
    status.setdefault("conditions", [])
    return {"apiVersion": API_VERSION, "kind": "Site", "metadata": metadata, "spec": spec, "status": status}


def secret_document(secret: control_pb2.SecretInfo) -> dict[str, Any]:
    """A secret in the same shape; its value is nowhere but at the sites."""
    status = plain(secret)
    return {
        "apiVersion": API_VERSION,
        "kind": "Secret",
        "metadata": {"name": status.pop("name")},
        "status": {"sites": [], "used_by": [], **status},
    }


def event_document(event: types_pb2.Event) -> dict[str, Any]:
    """An event in the same shape: what happened is its spec, for it never changes."""
    spec = plain(event)
    revision = spec.pop("revision", 0)
    return {"apiVersion": API_VERSION, "kind": "Event", "metadata": {"revision": revision}, "spec": spec}


def list_document(items: Iterable[dict[str, Any]], freshness: control_pb2.Freshness | None = None) -> dict[str, Any]:
    """Documents under `items`; the last known state is marked as such."""
    body = {"apiVersion": API_VERSION, "kind": "List", "items": list(items)}
    return marked(body, freshness) if freshness is not None else body


def show_hubs(
    hubs: Iterable[types_pb2.Hub], form: str, freshness: control_pb2.Freshness, *, single: bool, uids: bool = False
) -> None:
    """In the form that was asked for; stale answers say so on standard error and in the document. With `uids` the table
    has them: several retired classes may have had one name."""
    hubs = list(hubs)
    tell_staleness(freshness)
    if form in ("json", "yaml"):
        documents = [hub_document(hub) for hub in hubs]
        if single and len(documents) == 1:
            output.document(marked(documents[0], freshness), form)
        else:
            output.document(list_document(documents, freshness), form)
    elif form == "name":
        for name in _names(hubs):
            output.data(name)
    elif not hubs:
        output.say("no classrooms; `fedctl place FILE` makes one")
    else:
        head = WIDE if form == "wide" else HEAD
        more = ("UID",) if uids and form != "wide" else ()
        output.table((*head, *more), ((*row(hub)[: len(head)], *(hub.metadata.uid for _ in more)) for hub in hubs))


def _names(hubs: Iterable[types_pb2.Hub]) -> Iterator[str]:
    """What other verbs take: the name, or the uid of one whose name a later class took (it comes after that one)."""
    seen: set[str] = set()
    for hub in hubs:
        yield hub.metadata.uid if hub.metadata.name in seen else hub.metadata.name
        seen.add(hub.metadata.name)


def row(hub: types_pb2.Hub) -> tuple[str, ...]:
    """One line of `get -o wide`."""
    status, metadata = hub.status, hub.metadata
    return (
        metadata.name,
        status.site,
        status.phase,
        epoch_text(status.epoch),
        status.url,
        age(metadata.created),
        str(status.students),
        str(status.servers),
        str(metadata.generation),
        status.mode,
        metadata.uid,
    )


def marked(body: dict[str, Any], freshness: control_pb2.Freshness) -> dict[str, Any]:
    """The document; if it is the last known state, its metadata say so and how old it is."""
    if not freshness.stale:
        return body
    mark = {"stale": True, "ageSeconds": round(freshness.age_s, 1)}
    return {**body, "metadata": {**body.get("metadata", {}), **mark}}


def tell_staleness(freshness: control_pb2.Freshness) -> None:
    """Without a quorum the last known state is shown, and said to be that."""
    if freshness.stale:
        why = "the register does not answer, or is not believed"
        output.say(f"STALE: last known state, {freshness.age_s:.0f} s old: {why}")


def silence_of(status: control_pb2.StatusResponse) -> str:
    """Why the register is not heard by the coordinator that was asked; empty if it is."""
    if not status.register_version.startswith("unreachable") and not status.freshness.stale:
        return ""
    heard = f"last heard {status.freshness.age_s:.0f} s ago"
    _unreachable, _colon, reason = status.register_version.partition("unreachable: ")
    return f"{heard}: {reason}" if reason else heard


def epoch_text(epoch: types_pb2.Epoch) -> str:
    """era.n; empty if there is none."""
    return f"{epoch.era}.{epoch.n}" if epoch.era else ""


def age(stamp: str) -> str:
    """How long ago, in one unit, as kubectl shows it."""
    if not stamp:
        return ""
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(stamp)).total_seconds())  # noqa: TID251 - shown to a person
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{max(seconds, 0)}s"


def _numbers(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {k: _numbers(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    if key in ("revision", "memory_bytes", "bytes", "files") and isinstance(value, str):
        return int(value)
    return value
