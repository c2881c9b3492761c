"""A classroom: what the admin wants, the content of `classroom.yaml`. Validated and immutable; the paper's figures are
the defaults.

Field for field the twin of `ClassroomSpec` in proto/federation/api/v1/classroom.proto. Rules inside one section are in
the section's module, rules across sections in `federation.model.classroom_rules`; reading files is `model/files`.
"""

from __future__ import annotations

from math import ceil
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from federation.model.classroom_people import Auth, Contacts, Meeting, Roster, Term
from federation.model.classroom_rules import problems_of
from federation.model.classroom_running import Budget, Chart, Dns, Limits, Overrides, Placement, Slo, Tls
from federation.model.classroom_seat import Content, DataSource, Image, Resources, Storage
from federation.model.refusal import refuse_all
from federation.model.scalars import ClassroomName, Flag, JsonObject, LabelKey, Number, Positive, Text
from federation.model.schema import Model

ACTIVE_SERVERS_PER_STUDENT = 1.2


class ClassroomSpec(Model):
    """Everything below `spec` of a classroom file."""

    term: Term = Field(description="When the class exists.")
    contacts: Contacts = Field(description="Who is told.")
    roster: Roster = Field(description="Who may sign in.")
    auth: Auth = Field(Auth(), description="How people sign in.")
    meetings: tuple[Meeting, ...] = Field((), description="Scheduled class times.")
    image: Image = Field(description="What students' servers start from.")
    content: tuple[Content, ...] = Field((), description="Course material, pulled at each start.")
    post_start: tuple[Text, ...] = Field(
        (), description="Shell lines run after each start.", examples=[["chmod 700 ~/.ssh"]]
    )
    resources: Resources = Field(Resources(), description="The size of one seat.")
    storage: Storage = Field(Storage(), description="Homes.")
    data: tuple[DataSource, ...] = Field((), description="Data servers.")
    placement: Placement = Field(Placement(), description="Which sites.")
    budget: Budget = Field(Budget(), description="Service units.")
    dns: Dns = Field(description="Names.")
    tls: Tls = Field(Tls(), description="Certificate.")
    limits: Limits = Field(Limits(), description="Bounds.")
    slo: Slo = Field(Slo(), description="Goals.")
    chart: Chart = Field(Chart(), description="Chart.")
    overrides: Overrides = Field(Overrides(), description="Raw values.")

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        problems = problems_of({name: getattr(self, name) for name in type(self).model_fields})
        if problems:
            raise refuse_all(problems)
        return self

    @property
    def active_server_limit(self) -> int:
        """How many servers may run at the same time, with the default filled in."""
        return self.limits.active_servers or ceil(self.roster.expected * ACTIVE_SERVERS_PER_STUDENT)

    @property
    def seat_cpu_millis(self) -> int:
        """What one seat is guaranteed, sidecars included."""
        return self.resources.cpu.guarantee.millis + sum(car.cpu.guarantee.millis for car in self.image.sidecars)

    @property
    def seat_memory_bytes(self) -> int:
        """What one seat is guaranteed, sidecars included."""
        return self.resources.memory.guarantee.bytes + sum(car.memory.guarantee.bytes for car in self.image.sidecars)


class Classroom(Model):
    """What the admin wants. Equal classrooms need no change at any site."""

    name: ClassroomName = Field(
        description="A DNS label: names the hub, its homes and its processes.", examples=["atm101"]
    )
    labels: dict[str, str] = Field({}, description="The admin's own marks.", examples=[{"semester": "fall-2026"}])
    spec: ClassroomSpec


class Metadata(Model):
    """What names a classroom in a file. All but the name and the labels is written by `fedctl get -o yaml`, so that its
    answer can be edited and placed again."""

    name: ClassroomName = Field(
        description="A DNS label: names the hub, its homes and its processes.", examples=["atm101"]
    )
    labels: dict[LabelKey, Text] = Field({}, description="Your own marks.", examples=[{"semester": "fall-2026"}])
    generation: Positive | None = Field(
        None, description="The generation that this file was taken from: a newer one is not overwritten.", examples=[3]
    )
    uid: Text | None = Field(None, description="Written by fedctl; not read.")
    revision: Positive | None = Field(None, description="Written by fedctl; not read.")
    created: Text | None = Field(None, description="Written by fedctl; not read.")
    actor: Text | None = Field(None, description="Written by fedctl; not read.")
    stale: Flag | None = Field(None, description="Written by fedctl where the register did not answer; not read.")
    ageSeconds: Number | None = Field(None, description="Written by fedctl beside `stale`; not read.")  # noqa: N815


class ClassroomFile(Model):
    """One document of a classroom file."""

    model_config = ConfigDict(title="Classroom")

    apiVersion: str = Field(description="Version of this format.", examples=["hubfed/v1"], pattern=r"^hubfed/v1$")  # noqa: N815
    kind: str = Field(description="Kind of the document.", examples=["Classroom"], pattern=r"^Classroom$")
    metadata: Metadata = Field(description="Its name and labels.")
    spec: ClassroomSpec = Field(description="What you want.")
    status: JsonObject = Field({}, description="Written by fedctl; not read.")

    def classroom(self) -> Classroom:
        """The classroom without the file's wrapping."""
        return Classroom(name=self.metadata.name, labels=dict(self.metadata.labels), spec=self.spec)
