"""What a hub's namespace says of the hub: whose it is, and what it was last told. Kept there, so that a new agent finds it.

The namespace has the hub's uid as its name, labels by which it is found, and one annotation with the record. Secrets that
the hub needs at this site alone are in one Secret beside it.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from agents.drivers.kubernetes.marks import AROUND, CLASSROOM, HOMES, HUB, MANAGED_BY, RECORD, SITE
from federation.model.errors import DriverError, StaleEpoch
from federation.model.identity import Epoch, name_of
from federation.model.schema import Document

SECRET = "hubfed"  # noqa: S105 - the name of an object

Object = dict[str, Any]


class HubRecord(Document):
    """`applied`: fingerprint of the chart and the values that are installed; empty: not known to be wholly there.
    `server`: of what students' servers are started with."""

    epoch: Epoch
    generation: int
    applied: str = ""
    server: str = ""
    draining: bool = False


@dataclass(frozen=True, slots=True)
class HubNamespace:
    """One look at it. `record` None: no hub was ever started in it. `around`: fingerprint of what surrounds the hub; empty:
    not known to be wholly there. It is a note of its own, which agents that know nothing of it leave alone."""

    name: str
    record: HubRecord | None
    homes: str = ""  # the mark of the homes, in their driver's words
    around: str = ""
    ending: str = ""  # why it is going away; empty: it is not

    @classmethod
    def of(cls, site: str, hub: str, found: Object) -> HubNamespace:
        """DriverError if it is not this site's, or cannot be understood."""
        meta = found["metadata"]
        labels, notes = meta.get("labels") or {}, meta.get("annotations") or {}
        if (labels.get(SITE), labels.get(HUB)) != (site, hub):
            wrong = f"{hub}: the namespace {hub} is in the cluster already, and is not this site's"
            raise DriverError(wrong, delay_s=60.0, help="Delete it if nobody needs it: nothing in it was touched.")
        ending = ""
        if meta.get("deletionTimestamp"):
            ending = _why_it_stays(found) or "it is being deleted"
        return cls(hub, _record(hub, notes.get(RECORD, "")), notes.get(HOMES, ""), notes.get(AROUND, ""), ending)

    def check_epoch(self, epoch: Epoch) -> None:
        """StaleEpoch if the hub was started at a newer one here."""
        if self.record is not None and epoch < self.record.epoch:
            raise StaleEpoch(f"{self.name} was started at epoch {self.record.epoch} here; the order is of {epoch}")


def namespace_body(site: str, hub: str, record: HubRecord | None, homes: str) -> Object:
    """As it is to be applied: all of our fields, for a field that is left out is given up."""
    labels = {SITE: site, HUB: hub, CLASSROOM: name_of(hub), MANAGED_BY: "hubfed"}
    notes = {RECORD: record.model_dump_json() if record is not None else "", HOMES: homes}
    annotations = {name: value for name, value in notes.items() if value}
    metadata = {"name": hub, "labels": labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


@dataclass(frozen=True, slots=True)
class HubSecrets:
    """Drawn once per hub and site; they never leave the cluster and the agent's memory."""

    api_token: str = field(repr=False)
    proxy_token: str = field(repr=False)
    cookie_secret: str = field(repr=False)

    @classmethod
    def draw(cls) -> HubSecrets:
        """Fresh ones."""
        return cls(secrets.token_hex(32), secrets.token_hex(32), secrets.token_hex(32))

    @classmethod
    def of(cls, hub: str, found: Object) -> HubSecrets:
        """From the Secret; DriverError if somebody took something out of it."""
        data: Mapping[str, str] = found.get("data") or {}
        try:
            return cls(*(base64.b64decode(data[name]).decode() for name in ("api", "proxy", "cookie")))
        except (KeyError, ValueError) as error:
            wrong = f"{hub}: the Secret {SECRET} in its namespace cannot be understood: {type(error).__name__}"
            raise DriverError(
                wrong, help="Delete the Secret: the hub is given new ones, and students sign in again."
            ) from None

    def body(self) -> Object:
        """The Secret, to be created."""
        plain = {"api": self.api_token, "proxy": self.proxy_token, "cookie": self.cookie_secret}
        data = {name: base64.b64encode(value.encode()).decode() for name, value in plain.items()}
        metadata = {"name": SECRET, "labels": {MANAGED_BY: "hubfed"}}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


def _record(hub: str, text: str) -> HubRecord | None:
    if not text:
        return None
    try:
        return HubRecord.model_validate_json(text)
    except ValidationError as error:
        wrong = f"{hub}: what its namespace says of the hub cannot be understood: {error.errors()[0]['msg']}"
        raise DriverError(wrong, help=f"Remove the annotation {RECORD} from the namespace to start anew.") from None


def _why_it_stays(found: Object) -> str:
    """Kubernetes' own words for a namespace that does not go away."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    said = [str(one.get("message", "")) for one in conditions if one.get("status") == "True"]
    return json.dumps("; ".join(said))[1:-1] if said else ""
