"""Where and how a hub runs: placement, names, limits, goals, budget. Part of `federation.model.classroom`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, Strict, model_validator

from federation.model.quantities import Duration
from federation.model.refusal import Problem, refuse_all
from federation.model.scalars import Count, Host, JsonObject, Number, Positive, Site, Text
from federation.model.schema import Model

Seconds = Annotated[int, Strict(), Field(ge=1, le=86400)]

ANY_STANDBY = "auto"
NO_STANDBY = "none"


class Isolation(StrEnum):
    SHARED = "shared"
    DEDICATED_GROUP = "dedicated-group"
    DEDICATED_CLUSTER = "dedicated-cluster"


class Movable(StrEnum):
    NEVER = "never"
    IDLE = "idle"
    BETWEEN_SESSIONS = "between-sessions"


class TlsMode(StrEnum):
    CARRIED = "carried"
    ACME_HTTP = "acme-http"
    ACME_DNS = "acme-dns"
    OWN_CERTIFICATE = "own-certificate"


class Placement(Model):
    """Which sites may run the hub."""

    allow: tuple[Site, ...] = Field((), description="Sites that may run it; default: all.", examples=[["iu", "tacc"]])
    prefer: Site | None = Field(None, description="Chosen if the class fits there.", examples=["iu"])
    standby: Site = Field(
        ANY_STANDBY, description="Site of the copy: a site, auto, or none (no failover).", examples=["tacc"]
    )
    flavor: Text = Field("auto", description="Size of the machines.", examples=["m3.medium"])
    isolation: Isolation = Field(Isolation.SHARED, description="With which others machines are shared.")
    max_nodes: Positive | None = Field(None, description="Ceiling of machines; default: planned + 1.", examples=[5])
    movable: Movable = Field(Movable.IDLE, description="When a planned move may happen.")

    @model_validator(mode="after")
    def _sites_agree(self) -> Self:
        problems = []
        for index, site in enumerate(self.allow):
            if site in self.allow[:index]:
                problems.append(Problem(f"{site} is given twice", "each site once", "[iu, tacc]", ("allow", index)))
        listed = f"one of allow: {', '.join(self.allow)}"
        if self.allow and self.prefer is not None and self.prefer not in self.allow:
            problems.append(Problem(f"{self.prefer} is not in allow", listed, self.allow[0], ("prefer",)))
        named = self.standby not in (ANY_STANDBY, NO_STANDBY)
        if named and self.allow and self.standby not in self.allow:
            problems.append(
                Problem(f"{self.standby} is not in allow", f"{listed}, auto, none", self.allow[-1], ("standby",))
            )
        if named and self.standby == self.prefer:
            wrong = f"{self.standby} cannot stand by for itself"
            problems.append(Problem(wrong, "another site than prefer", "auto", ("standby",)))
        if problems:
            raise refuse_all(problems)
        return self


class Budget(Model):
    """Service units of the class."""

    su_total: Positive | None = Field(None, description="All that the class may use.", examples=[7000])
    alarm_at: Number = Field(0.8, description="Part of it at which contacts are told.", gt=0, le=1)


class Dns(Model):
    """The names that students type."""

    host: Host = Field(description="The hub's name, the same at every site.", examples=["atm101.hubs.example.edu"])
    aliases: tuple[Host, ...] = Field((), description="Further names.", examples=[["atm101-iu.hubs.example.edu"]])
    ttl: Seconds = Field(
        60, description="Seconds that others may remember the name; a failover lasts at least as long."
    )

    @model_validator(mode="after")
    def _different(self) -> Self:
        names = (self.host, *self.aliases)
        problems = [
            Problem(f"{name} is given twice", "each name once", "atm101-iu.hubs.example.edu", ("aliases", index))
            for index, name in enumerate(self.aliases)
            if name in names[: index + 1]
        ]
        if problems:
            raise refuse_all(problems)
        return self


class Tls(Model):
    """How the hub gets its certificate."""

    mode: TlsMode = Field(TlsMode.CARRIED, description="carried: one certificate that goes along to the standby.")


class Limits(Model):
    """Bounds that protect the hub. Times in seconds."""

    start_timeout: Positive = Field(600, description="Seconds that a server may take to start.")
    cull_after: Count = Field(3600, description="Seconds without activity after which a server is stopped; 0: never.")
    max_age: Count = Field(0, description="Seconds after which a server is stopped in any case; 0: never.")
    concurrent_spawns: Positive = Field(64, description="Servers that may be starting at the same time.")
    active_servers: Positive | None = Field(
        None,
        description="Servers that may run at the same time; default: expected x 1.2, and then a change of "
        "roster.expected restarts the hub.",
        examples=[30],
    )


class Slo(Model):
    """Goals; measurements are shown beside them."""

    spawn_p95: Duration = Field(Duration(120), description="19 of 20 servers start within.")
    rto: Duration = Field(Duration(900), description="After the loss of a site the hub is back within.")
    rpo: Duration = Field(Duration(1800), description="After the loss of a site at most this much work is lost.")


class Chart(Model):
    """The JupyterHub chart."""

    version: Text | None = Field(None, description="Default: the site's.", examples=["4.4.0"])


class Overrides(Model):
    """The last word for experts."""

    values: JsonObject = Field({}, description="Raw chart values, merged last.", examples=[{"proxy": {}}])
