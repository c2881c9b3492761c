"""The federation file (kind Federation): what the coordinators share. Validated and immutable.

Static settings of the processes; what changes while they run lives in the register.
"""

from __future__ import annotations

import re
from typing import Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from federation.model.hooks import MOST_HOOKS, Hook
from federation.model.names_file import NameDriverKind, Names
from federation.model.profile import PROFILES, Profile, ProfileName
from federation.model.quantities import Duration
from federation.model.refusal import Problem, problems_in, refuse, refuse_all
from federation.model.scalars import Flag, Listen, Number, Site, Text
from federation.model.schema import Model
from federation.model.site_file import SiteMetadata, TlsPaths

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PRODUCTION_ENDPOINTS = 3  # fewer register members survive no failure
PRODUCTION_COORDINATORS = 2
LEAST_FAILBACK_S = 300
LEAST_TEST_S, LEAST_TRIAL_TEST_S = 300, 10  # in production, and else
WITNESS = "witness"
"""The name of the third failure domain: it holds a register member and a coordinator, never a hub."""
WITNESS_ENDPOINTS = 3  # with fewer register members the witness and one site are no majority


class Timing(Model):
    """Departures from the profile's times, in seconds. The whole is refused if it is unsafe."""

    renew_s: Number | None = Field(None, description="r: time between renewals.", gt=0, examples=[5])
    contact_s: Number | None = Field(
        None, description="D: served this long after a renewal was sent.", gt=0, examples=[30]
    )
    fence_s: Number | None = Field(None, description="F: the agent stops a hub within this.", gt=0, examples=[30])
    fencer_s: Number | None = Field(None, description="W: the fencer does it within this.", gt=0, examples=[15])
    margin_s: Number | None = Field(None, description="eps: margin.", gt=0, examples=[2])
    takeover_s: Number | None = Field(None, description="L: the leader waits this long.", gt=0, examples=[90])
    leader_ttl_s: Number | None = Field(None, description="The leader's own lease.", gt=0, examples=[15])


class RegisterSettings(Model):
    """The register (etcd)."""

    uuid: Text | None = Field(
        None,
        description="The register's id; drawn at the first start if left out.",
        examples=["6f1c2d9e-0f5b-4d7e-9a49-0d6f6c1a2b3c"],
    )
    endpoints: tuple[Listen, ...] = Field(
        description="host:port of each member.", examples=[["etcd-iu.example.edu:2379"]], min_length=1
    )
    tls: TlsPaths | None = Field(None, description="Certificate for the register; only coordinators hold one.")
    prefix: Text = Field("hubfed", description="Key prefix, one per federation.")

    @model_validator(mode="after")
    def _well_formed(self) -> Self:
        problems = []
        if self.uuid is not None and UUID.fullmatch(self.uuid) is None:
            example = "6f1c2d9e-0f5b-4d7e-9a49-0d6f6c1a2b3c"
            problems.append(
                Problem(f"{self.uuid!r} is not a uuid", "32 hexadecimal digits with dashes", example, ("uuid",))
            )
        if self.prefix.startswith("/") or self.prefix.endswith("/"):
            problems.append(
                Problem(f"{self.prefix!r} begins or ends with /", "words with / between", "hubfed", ("prefix",))
            )
        if problems:
            raise refuse_all(problems)
        return self


class CoordinatorSettings(Model):
    """One coordinator."""

    id: Site = Field(description="A short name.", examples=["c1"])
    listen: Listen = Field(description="Where it listens.", examples=["0.0.0.0:8443"])
    advertise: Listen | None = Field(
        None, description="Where others reach it; default: listen.", examples=["c1.example.edu:8443"]
    )
    site: Site | None = Field(
        None,
        description="The site at which it runs, and with which it would be lost; default: at none.",
        examples=["iu"],
    )
    witness: Flag = Field(
        False, description="It runs at the witness, the third failure domain, and comes first in elections."
    )
    member: Listen | None = Field(
        None,
        description="The register member beside it, one of register.endpoints: it asks this one first.",
        examples=["etcd-iu.example.edu:2379"],
    )
    tls: TlsPaths | None = Field(None, description="Its certificate; default: spec.tls.")

    @model_validator(mode="after")
    def _at_one_place(self) -> Self:
        if self.site is not None and self.witness:
            raise refuse(
                f"it runs both at site {self.site} and at the witness", "one of the two", "witness: true", "site"
            )
        if self.site == WITNESS:
            raise refuse("no site is called witness: it never holds a hub", "witness: true instead", "iu", "site")
        return self

    @property
    def address(self) -> str:
        """Where others reach it."""
        return self.advertise or self.listen

    @property
    def domain(self) -> str:
        """The failure domain with which it would be lost: a site, `witness`, or empty for a place of its own."""
        return WITNESS if self.witness else self.site or ""


class FederationSpec(Model):
    """Everything below `spec` of a federation file."""

    profile: ProfileName = Field(ProfileName.NORM, description="Failover timing: lab (one machine), norm, wide.")
    timing: Timing | None = Field(None, description="Departures from the profile.")
    production: Flag = Field(False, description="Refuses what is only fit for a trial.")
    register_: RegisterSettings = Field(alias="register", description="The register.")
    coordinators: tuple[CoordinatorSettings, ...] = Field(description="All coordinators.", min_length=1)
    names: Names = Field(description="Names of the hubs.")
    failback_after: Duration | None = Field(
        None,
        description="A class that an outage moved goes back, outside its class times, when its site has been well for so"
        " long; default: only `fedctl move` brings it back.",
        examples=["1h"],
    )
    server_test_every: Duration | None = Field(
        None,
        description="So often each coordinator of another place starts a server of a reserved user in each class, outside"
        " class times, and removes it; default: never, and only login pages are looked at.",
        examples=["15m"],
    )
    tls: TlsPaths | None = Field(None, description="Certificate of coordinators that name none of their own.")
    hooks: tuple[Hook, ...] = Field(
        (), description="Whom to tell that something happened by itself.", max_length=MOST_HOOKS
    )
    alarm_after: Duration = Field(
        Duration(120), description="A class that is unprotected, or a register that is silent, for less calls no hook."
    )
    admins: tuple[Site, ...] = Field(("admin",), description="Users who are admins of a new federation.", min_length=1)

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True
    )  # `register` is a method of every class that is an ABC

    @model_validator(mode="after")
    def _agree(self) -> Self:
        problems = [
            *self._twins(),
            *self._strange_members(),
            *self._unfit_for_production(),
            *self._unsafe_times(),
            *self._hasty(),
            *self._busy(),
        ]
        if problems:
            raise refuse_all(problems)
        return self

    def _unsafe_times(self) -> list[Problem]:
        try:
            self.times()
        except ValidationError as error:
            found = [problem for line in error.errors() for problem in problems_in(line.get("ctx"))]
            return [problem.below("timing") for problem in found]
        return []

    def _hasty(self) -> list[Problem]:
        if self.failback_after is None or self.failback_after.seconds >= LEAST_FAILBACK_S:
            return []
        wrong = f"a site that comes and goes would pull its classes along: {self.failback_after} is too short"
        return [Problem(wrong, "5m or longer", "1h", ("failback_after",))]

    def _busy(self) -> list[Problem]:
        if self.server_test_every is None:
            return []
        if self.production and not self.names.by_https:
            wrong = "students come by http, and whoever listens would get a token that starts a server in each class"
            return [Problem(wrong, "names.https, or no test servers", "names: {https: true}", ("server_test_every",))]
        least_s = LEAST_TEST_S if self.production else LEAST_TRIAL_TEST_S
        if self.server_test_every.seconds >= least_s:
            return []
        wrong = f"test servers every {self.server_test_every} would take from the classes"
        return [Problem(wrong, f"{Duration(least_s)} or longer", "15m", ("server_test_every",))]

    def _twins(self) -> list[Problem]:
        ids = [coordinator.id for coordinator in self.coordinators]
        hooks = [hook.name for hook in self.hooks]
        return [
            Problem(f"two {what} are named {name}", "each once", example, (place, index, field))
            for what, place, field, names, example in (
                ("coordinators", "coordinators", "id", ids, "c2"),
                ("hooks", "hooks", "name", hooks, "mail"),
            )
            for index, name in enumerate(names)
            if name in names[:index]
        ]

    def _strange_members(self) -> list[Problem]:
        known = self.register_.endpoints
        return [
            Problem(f"{one.member} is no register member", "one of register.endpoints", known[0], (*at, "member"))
            for index, one in enumerate(self.coordinators)
            for at in [("coordinators", index)]
            if one.member is not None and one.member not in known
        ]

    def _unfit_for_production(self) -> list[Problem]:
        if not self.production:
            return []
        register = self.register_
        checks = (
            (self.profile is ProfileName.LAB, "the lab profile", "norm or wide", "norm", ("profile",)),
            (
                self.names.driver is NameDriverKind.FRONTDOOR,
                "a laptop's front door",
                "rfc2136 or designate",
                "rfc2136",
                ("names", "driver"),
            ),
            (
                self.names.driver is NameDriverKind.RFC2136 and not self.names.resolvers,
                "names that nobody outside was asked about",
                "at least one resolver that is not the server",
                "198.51.100.53:53",
                ("names", "resolvers"),
            ),
            (
                register.tls is None,
                "a register without certificates",
                "ca, cert, key",
                "pki/etcd.crt",
                ("register", "tls"),
            ),
            (
                len(register.endpoints) < PRODUCTION_ENDPOINTS,
                f"{len(register.endpoints)} register member(s), which survive no failure",
                f"at least {PRODUCTION_ENDPOINTS}",
                "etcd-iu:2379, etcd-tacc:2379, etcd-witness:2379",
                ("register", "endpoints"),
            ),
            (
                len(self.coordinators) < PRODUCTION_COORDINATORS,
                "one coordinator",
                "at least two",
                "c1, c2",
                ("coordinators",),
            ),
        )
        return [
            Problem(f"{wrong} in production", allowed, example, at)
            for bad, wrong, allowed, example, at in checks
            if bad
        ]

    def times(self) -> Profile:
        """The profile with the departures of `timing`."""
        base = PROFILES[self.profile]
        changed = self.timing.model_dump(exclude_none=True) if self.timing is not None else {}
        return base.revise(**changed)

    @property
    def has_witness(self) -> bool:
        """Whether a third failure domain decides when a site is lost. Without it grants stay standing: nobody could
        tell a dead site from a cut line, and no majority of the register would outlive either site."""
        return any(one.witness for one in self.coordinators) and len(set(self.register_.endpoints)) >= WITNESS_ENDPOINTS

    @property
    def notices(self) -> tuple[str, ...]:
        """What is allowed, but an admin should know: sentences."""
        members = len(set(self.register_.endpoints))
        said = []
        if not self.has_witness:
            missing = (
                f"{members} register members" if members < WITNESS_ENDPOINTS else "no coordinator with witness: true"
            )
            said.append(
                f"no witness ({missing}): hubs are not armed, so that after the loss of a site its classes wait for a "
                f"person; a witness needs a coordinator with witness: true and {WITNESS_ENDPOINTS} register members"
            )
        if self.names.driver is NameDriverKind.RFC2136 and not self.names.resolvers:
            said.append("names are seen by the server that is written to, which is not outside: name resolvers")
        if members % 2 == 0:
            said.append(f"{members} register members survive no more failures than {members - 1}")
        return tuple(said)

    def coordinator(self, name: str) -> CoordinatorSettings | None:
        """One coordinator's settings; None: not in the file."""
        return next((settings for settings in self.coordinators if settings.id == name), None)


class FederationFile(Model):
    """A federation file."""

    model_config = ConfigDict(title="Federation")

    apiVersion: str = Field(description="Version of this format.", examples=["hubfed/v1"], pattern=r"^hubfed/v1$")  # noqa: N815
    kind: str = Field(description="Kind of the document.", examples=["Federation"], pattern=r"^Federation$")
    metadata: SiteMetadata = Field(description="Its name and labels.")
    spec: FederationSpec = Field(description="What the coordinators share.")

    @property
    def name(self) -> str:
        """The federation's name."""
        return self.metadata.name
