"""What a student gets: image, content, resources, storage, data. Part of `federation.model.classroom`."""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from federation.model.quantities import Capacity, Cpu, Duration, ImageSize, Memory
from federation.model.refusal import Problem, refuse, refuse_all
from federation.model.scalars import (
    Cidr,
    Count,
    Digest,
    Flag,
    ImageName,
    ImageTag,
    Number,
    Port,
    SecretName,
    Site,
    Text,
    Url,
)
from federation.model.schema import Model

LEAST_MEMORY = 16 << 20  # no Python starts in less
LEAST_CPU_MILLIS = 1
SHARES_MAY_MISS_BY = 0.001  # thirds are written 0.333


class MemoryRange(Model):
    """What one seat is guaranteed and may use at most; the defaults are the paper's."""

    guarantee: Memory = Field(Memory(1 << 30), description="Memory that is kept free for each student.")
    limit: Memory = Field(Memory(2 << 30), description="Memory above which a student's programs are stopped.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.guarantee.bytes < LEAST_MEMORY:
            wrong = f"a guarantee of {self.guarantee.bytes} bytes"
            raise refuse(wrong, "at least 16M, and a unit", "1G", "guarantee")
        if self.limit < self.guarantee:
            default = "" if "limit" in self.model_fields_set else " (the default)"
            wrong = f"the limit {self.limit}{default} is below the guarantee {self.guarantee}"
            raise refuse(wrong, "limit at least as large as guarantee", str(self.guarantee), "limit")
        return self


class CpuRange(Model):
    """What one seat is guaranteed and may use at most; the defaults are the paper's."""

    guarantee: Cpu = Field(Cpu(1000), description="Cores that are kept free for each student.")
    limit: Cpu = Field(Cpu(2000), description="Cores that a student's programs may use at most.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.limit < self.guarantee:
            default = "" if "limit" in self.model_fields_set else " (the default)"
            wrong = f"the limit {self.limit.cores:g}{default} is below the guarantee {self.guarantee.cores:g}"
            raise refuse(wrong, "limit at least as large as guarantee", f"{self.guarantee.cores:g}", "limit")
        if self.limit.millis < LEAST_CPU_MILLIS:
            raise refuse("a limit of no CPU at all", "more than 0", "2", "limit")
        return self


class Sidecar(Model):
    """A second container in every student's pod, such as a desktop program; it counts in the size of the seat."""

    name: Text = Field(description="A short name.", examples=["idv"])
    image: Text = Field(description="Image with tag.", examples=["unidata/idv-gateway:2025-09"])
    ports: tuple[Port, ...] = Field((), description="Ports it serves.", examples=[[6080]])
    memory: MemoryRange = Field(MemoryRange(), description="Memory of the container.")
    cpu: CpuRange = Field(CpuRange(), description="CPU of the container.")


class Image(Model):
    """What students' servers start from. Both sites must resolve the same image."""

    name: ImageName = Field(description="The image without tag.", examples=["unidata/uwd25f"])
    tag: ImageTag | None = Field(
        None, description="A tag that never moves; latest is refused.", examples=["2026-08-20"]
    )
    digest: Digest | None = Field(None, description="Instead of a tag, or to pin it.", examples=["sha256:0a0a..."])
    size: ImageSize = Field(ImageSize(5 * 10**9), description="Size, for the disk check.")
    pull_secret: SecretName | None = Field(None, description="Name of the registry's secret.", examples=["registry"])
    sidecars: tuple[Sidecar, ...] = Field((), description="Further containers of each seat.")
    profiles_env: dict[str, Text] = Field(
        {}, description="Environment of students' servers.", examples=[{"NBGITPULLER_DEPTH": "1"}]
    )

    @model_validator(mode="after")
    def _one_image(self) -> Self:
        if self.tag is None and self.digest is None:
            raise refuse("neither tag nor digest is given", "a tag that never moves, or a digest", "tag: 2026-08-20")
        return self

    @property
    def reference(self) -> str:
        """As a registry knows it."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}@{self.digest}" if self.digest else f"{self.name}{tag}"


class Content(Model):
    """A git repository that is brought up to date in each home when a server starts."""

    git: Url = Field(description="Where it is.", examples=["https://example.edu/course.git"])
    branch: Text | None = Field(None, description="Default: the repository's own.", examples=["main"])
    dir: Text = Field(description="Folder in the home.", examples=["course"])
    secret: SecretName | None = Field(
        None, description="Name of the secret of a private repository.", examples=["git-atm101"]
    )

    @model_validator(mode="after")
    def _inside_home(self) -> Self:
        if self.dir.startswith("/") or ".." in self.dir.split("/"):
            raise refuse(f"{self.dir!r} leads out of the home", "a folder inside the home", "course", "dir")
        return self


class Gpu(Model):
    """GPUs of each seat; sites without that kind are no candidates."""

    count: Count = Field(0, description="How many.")
    kind: Text | None = Field(None, description="Which kind.", examples=["g3.small"])


class SeatProfile(Model):
    """One choice that students have when they start a server."""

    name: Text = Field(description="What students read.", examples=["large"])
    description: Text | None = Field(None, description="A sentence below it.")
    memory: MemoryRange | None = Field(None, description="Default: as resources.memory.")
    cpu: CpuRange | None = Field(None, description="Default: as resources.cpu.")
    sidecar: Text | None = Field(None, description="Name of a sidecar of this profile.")
    node_group: Text | None = Field(None, description="Pool it runs on.")
    default: Flag = Field(False, description="Chosen when nobody chooses; exactly one profile is.")
    share: Number | None = Field(
        None, description="Expected part of the students; all shares sum to 1.", examples=[0.25], ge=0, le=1
    )


class Resources(Model):
    """The size of one seat."""

    memory: MemoryRange = Field(MemoryRange(), description="Memory of one student.")
    cpu: CpuRange = Field(CpuRange(), description="CPU of one student; with guarantee 1 it binds before memory does.")
    gpu: Gpu = Field(Gpu(), description="GPUs of one student.")
    profiles: tuple[SeatProfile, ...] = Field((), description="Choices of other sizes.")

    @model_validator(mode="after")
    def _profiles_add_up(self) -> Self:
        problems = list(_profile_problems(self.profiles))
        if problems:
            raise refuse_all(problems)
        return self


def _profile_problems(profiles: tuple[SeatProfile, ...]) -> list[Problem]:
    if not profiles:
        return []
    problems = []
    defaults = [profile.name for profile in profiles if profile.default]
    if len(defaults) != 1:
        wrong = f"{len(defaults)} profiles are the default" if defaults else "no profile is the default"
        problems.append(Problem(wrong, "exactly one", "default: true", ("profiles",)))
    names = [profile.name for profile in profiles]
    for index, name in enumerate(names):
        if name in names[:index]:
            problems.append(
                Problem(f"two profiles are named {name}", "each name once", "large", ("profiles", index, "name"))
            )
    shares = [profile.share for profile in profiles if profile.share is not None]
    if shares and len(shares) != len(profiles):
        problems.append(
            Problem("some profiles have a share and some have none", "all or none", "share: 0.5", ("profiles",))
        )
    elif shares and abs(sum(shares) - 1) > SHARES_MAY_MISS_BY:
        arithmetic = " + ".join(f"{share:g}" for share in shares)
        problems.append(
            Problem(f"the shares sum to {sum(shares):g} ({arithmetic})", "a sum of 1", "0.75 and 0.25", ("profiles",))
        )
    return problems


class StorageType(StrEnum):
    DYNAMIC = "dynamic"
    SHARED_HOME = "shared-home"
    NONE = "none"


class SharedFolder(Model):
    """A folder that the whole class sees."""

    name: Text = Field(description="Name of the volume.", examples=["course-data"])
    path: Text = Field(description="Where students see it.", examples=["/data"])
    read_only: Flag = Field(True, description="Whether students can only read it.")


class Protect(Model):
    """How often homes are copied to another site, and how long copies are kept."""

    every: Duration = Field(Duration(900), description="While in use, and after each stop.")
    keep: Duration = Field(Duration(7 * 86400), description="How long copies are kept.")


class Storage(Model):
    """Where homes live."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)  # `class` in files is no name in Python

    type: StorageType = Field(
        StorageType.DYNAMIC, description="One volume each, one shared volume, or no homes (workshops)."
    )
    capacity: Capacity = Field(Capacity(5 << 30), description="Size of one home.")
    storage_class: Text | None = Field(
        None, alias="class", description="Class of the volumes; default: the site's.", examples=["ceph-block"]
    )
    shared: tuple[SharedFolder, ...] = Field((), description="Folders of the whole class.")
    protect: Protect | None = Field(None, description="Copies at another site; default every 15m, kept 7d.")

    @model_validator(mode="after")
    def _something_to_protect(self) -> Self:
        if self.type is StorageType.NONE and self.protect is not None:
            raise refuse("there are no homes to protect", "no protect where type is none", "type: dynamic", "protect")
        return self

    @property
    def protection(self) -> Protect | None:
        """What holds, with the default filled in; None: there are no homes."""
        return None if self.type is StorageType.NONE else self.protect or Protect()


class DataKind(StrEnum):
    THREDDS = "thredds"
    OPENDAP = "opendap"
    S3 = "s3"
    ADDE = "adde"
    EDEX = "edex"
    RAMADDA = "ramadda"
    HTTP = "http"


class Egress(Model):
    """A network that students' servers must reach; private networks are closed otherwise."""

    cidr: Cidr = Field(description="The network.", examples=["10.0.0.0/24"])
    port: Port = Field(description="The port.", examples=[443])


class DataSource(Model):
    """A data server that the class works with."""

    name: Text = Field(description="A short name.", examples=["gfs"])
    kind: DataKind = Field(description="What it speaks.", examples=["thredds"])
    url: Url = Field(description="Where it is.", examples=["https://thredds.example.edu/thredds"])
    prefer_site: Site | None = Field(None, description="The site that is near it.", examples=["iu"])
    egress: tuple[Egress, ...] = Field((), description="What must be let through.")
