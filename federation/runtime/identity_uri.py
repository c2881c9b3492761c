"""Who a certificate names: `hubfed://<register uuid>/coordinator/ID`, `.../agent/SITE/UID` or `.../user/NAME`.

Reading is strict: exactly one such URI, in exactly the form that `uri` writes; anything else is nobody. Roles are not
in certificates but in the register (DESIGN.md 4.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from federation.model.errors import Denied, InvalidRequest

SCHEME = "hubfed://"
_UUID = r"(?P<register>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_FORM = re.compile(
    rf"hubfed://{_UUID}/(?:"
    rf"coordinator/(?P<coordinator>{_LABEL})"
    rf"|agent/(?P<site>{_LABEL})/(?P<uid>[A-Za-z0-9][A-Za-z0-9-]{{0,63}})"
    rf"|user/(?P<user>[A-Za-z0-9][A-Za-z0-9._@+-]{{0,127}}))"
)


class Kind(StrEnum):
    COORDINATOR = "coordinator"
    AGENT = "agent"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is at the other end. `name` is the coordinator's id, the agent's site or the user; `uid` only agents have."""

    kind: Kind
    name: str
    register: str
    uid: str = ""

    @property
    def site(self) -> str:
        """The site that an agent speaks for; empty for others."""
        return self.name if self.kind is Kind.AGENT else ""

    @property
    def label(self) -> str:
        """How documents, events and logs name this actor, e.g. `user/ada` or `agent/iu`."""
        return f"{self.kind}/{self.name}"

    @property
    def uri(self) -> str:
        """What the certificate carries."""
        rest = f"{self.name}/{self.uid}" if self.kind is Kind.AGENT else self.name
        return f"{SCHEME}{self.register}/{self.kind}/{rest}"


def coordinator_uri(register: str, coordinator: str) -> str:
    """The URI of a coordinator. Raises InvalidRequest if a part is not allowed, as do the other two."""
    return _checked(Principal(Kind.COORDINATOR, coordinator, register))


def agent_uri(register: str, site: str, uid: str) -> str:
    """The URI of a site's agent."""
    return _checked(Principal(Kind.AGENT, site, register, uid))


def agent_host(site: str, uid: str) -> str:
    """The host name in an agent's certificate under which others call it, wherever it listens: they reach this very
    member, or nobody."""
    return f"{uid.lower()}.{site}.agent.hubfed"


def user_uri(register: str, user: str) -> str:
    """The URI of a person who uses fedctl."""
    return _checked(Principal(Kind.USER, user, register))


def parse(uri: str) -> Principal:
    """The principal that a URI names. Raises InvalidRequest if it is not exactly of one of the three forms."""
    match = _FORM.fullmatch(uri)
    if match is None:
        raise InvalidRequest(
            f"{uri[:200]!r} does not name a coordinator, agent or user of a federation",
            help=f"Allowed: {SCHEME}<register uuid>/coordinator/ID, .../agent/SITE/UID or .../user/NAME.",
        )
    parts = match.groupdict()
    if parts["coordinator"]:
        return Principal(Kind.COORDINATOR, parts["coordinator"], parts["register"])
    if parts["site"]:
        return Principal(Kind.AGENT, parts["site"], parts["register"], parts["uid"])
    return Principal(Kind.USER, parts["user"], parts["register"])


def principal_of(names: Iterable[bytes]) -> Principal:
    """The principal among a certificate's alternative names (host names and addresses stand beside it).

    Raises Denied unless exactly one of them is a federation's URI, and it is well formed.
    """
    uris = [name for name in names if name.lower().startswith(SCHEME.encode())]
    if len(uris) != 1:
        raise Denied(
            f"the certificate carries {len(uris)} {SCHEME} names, it must carry exactly one",
            help="Have a certificate issued for this federation.",
        )
    try:
        return parse(uris[0].decode("ascii"))
    except (InvalidRequest, UnicodeDecodeError) as error:
        raise Denied(
            "the certificate's name is not one that a federation gives",
            help="Have a certificate issued for this federation.",
        ) from error


def _checked(principal: Principal) -> str:
    parse(principal.uri)
    return principal.uri
