"""Who may call what: roles, rights, and the check that every call passes before its servicer sees it.

No gRPC in here: method names, certificate names and messages come in, a `Principal` or an error goes out. Nothing is
allowed that no row allows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum

from google.protobuf.message import Message

from federation.model.errors import Denied, InvalidRequest, Unavailable
from federation.runtime.identity_uri import Kind, Principal, principal_of


class Role(StrEnum):
    """AGENT and COORDINATOR come with the certificate; ADMIN, OPERATOR and VIEWER are given to users in the register.

    ANYONE is everybody who shows a valid certificate of this federation.
    """

    AGENT = "agent"
    COORDINATOR = "coordinator"
    ADMIN = "admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    ANYONE = "anyone"


USER_ROLES = frozenset({Role.ADMIN, Role.OPERATOR, Role.VIEWER})

Speaker = Callable[[Message], tuple[str, str] | None]
"""Finds the (site, uid) for which a message speaks; None if this message names none."""


@dataclass(frozen=True, slots=True)
class Right:
    """One row of the table. With `speaks_for` the call's first message must name a site, and no message another one
    than the caller's certificate."""

    roles: frozenset[Role]
    speaks_for: Speaker | None = None


Rights = Mapping[str, Right]
"""Full method name (`/package.Service/Method`) -> right."""

_principal: ContextVar[Principal] = ContextVar("principal")


def current_principal() -> Principal:
    """Who made the call that is being served. Raises LookupError outside of one."""
    return _principal.get()


def serving(principal: Principal) -> None:
    """The rest of the current task serves this principal's call."""
    _principal.set(principal)


@dataclass(frozen=True, slots=True)
class AccessCheck:
    """`register` gives the uuid of the federation's register, or None while it is not known yet (then only what
    ANYONE may call is served). `roles_of` gives the roles of a user; agents and coordinators have one by nature."""

    rights: Rights
    register: Callable[[], str | None]
    roles_of: Callable[[str], Collection[str]]

    def admit(self, method: str, names: Iterable[bytes]) -> Principal:
        """The caller, if the table lets it call `method`. `names` are the alternative names of its certificate.

        Raises Denied that names what is missing, or Unavailable while the register is not known.
        """
        principal = principal_of(names)
        right = self.rights.get(method)
        if right is None:
            raise Denied(f"{method} has no row in the table of rights: nobody may call it")
        register = self.register()
        if register is None and Role.ANYONE not in right.roles:
            raise Unavailable("this coordinator has not read the register yet: it cannot tell who may call")
        if register is not None and principal.register != register:
            raise Denied(
                f"{principal.label} belongs to the federation of register {principal.register}, this is {register}",
                help="Use the context and the certificate of this federation.",
            )
        if Role.ANYONE in right.roles or right.roles & self._roles(principal):
            return principal
        needed = ", ".join(sorted(right.roles))
        raise Denied(f"{principal.label} may not call {method.rpartition('/')[2]}: it needs a role of: {needed}")

    def speaks(self, method: str, principal: Principal, message: Message, *, first: bool) -> None:
        """Check for which site a message speaks. Raises Denied; InvalidRequest where a first message names no site."""
        right = self.rights[method]
        if right.speaks_for is None:
            return
        named = right.speaks_for(message)
        if named is None:
            if first:
                raise InvalidRequest(
                    f"{method.rpartition('/')[2]}: the first message must say for which site it speaks"
                )
            return
        if named != (principal.site, principal.uid):
            site, uid = (part[:80] for part in named)
            raise Denied(
                f"the certificate is that of {principal.label} with uid {principal.uid}, the message speaks for site "
                f"{site!r} with uid {uid!r}",
                help="An agent speaks for its own site only: check the site's file and its certificate.",
            )

    def _roles(self, principal: Principal) -> frozenset[Role]:
        match principal.kind:
            case Kind.AGENT:
                return frozenset({Role.AGENT})
            case Kind.COORDINATOR:
                return frozenset({Role.COORDINATOR})
            case Kind.USER:
                # a document must never give a user the role of an agent or a coordinator
                given = self.roles_of(principal.name)
                return frozenset(role for role in USER_ROLES if role.value in given)
