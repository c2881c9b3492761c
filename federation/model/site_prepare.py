"""What of a bare cluster `fedctl sites prepare` brings to the state that hubs need: `spec.prepare` of a site file.

Everything is off unless asked for: a cluster mostly has storage and an ingress already, and they are its owner's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import Field, model_validator

from federation.model.quantities import Capacity
from federation.model.refusal import refuse
from federation.model.scalars import Digest, Flag, JsonObject, Site, Text
from federation.model.schema import Model


class PreparedStorage(StrEnum):
    ROOK = "rook"
    NONE = "none"


class PreparedIngress(StrEnum):
    TRAEFIK = "traefik"
    NONE = "none"


class Rook(Model):
    """Ceph on the nodes that are labelled `hubfed.io/storage=true`."""

    default_class: Flag = Field(
        False, description="Whether ceph-block becomes the default storage class; one that is there already stays it."
    )
    file_system: Flag = Field(
        False, description="Whether volumes that many nodes share can be had: 2 cores and 8 GiB more."
    )
    volume_class: Text | None = Field(
        None,
        description="Ceph's disks are volumes of this storage class; without it all disks of the storage nodes that nobody "
        "uses.",
        examples=["cinder"],
    )
    volume_size: Capacity | None = Field(None, description="Of each of three such volumes.", examples=["300Gi"])

    @model_validator(mode="after")
    def _volumes_have_a_size(self) -> Self:
        if (self.volume_class is None) != (self.volume_size is None):
            has, lacks = "volume_class", "volume_size"
            if self.volume_class is None:
                has, lacks = lacks, has
            raise refuse(f"{has} without {lacks}", "both, or neither", f"{lacks}: ...", has)
        return self


class Prepare(Model):
    """What is installed, by the site's agent, when an admin says so."""

    kubeconfig: Text | None = Field(
        None,
        description="As whom it is installed, and nothing else is done as that; default: the agent's own account, which "
        "has not the rights. It has the cluster: let nobody else read it, and take it away when it has done its work.",
        examples=["/etc/hubfed/prepare.kubeconfig"],
    )
    storage: PreparedStorage = Field(PreparedStorage.NONE, description="What makes volumes.")
    rook: Rook = Field(Rook(), description="How, with storage rook.")
    ingress: PreparedIngress = Field(PreparedIngress.NONE, description="What leads students to the site's edge.")
    cert_manager: Flag = Field(False, description="Whether certificates are made and renewed in the cluster.")
    digests: dict[Site, Digest] = Field(
        {},
        description="Digests of archives that are taken instead of the pinned ones, by chart: others are refused.",
        examples=[{"traefik": f"sha256:{'0a' * 32}"}],
    )
    values: dict[Site, JsonObject] = Field(
        {}, description="Values that beat ours, by chart.", examples=[{"traefik": {"deployment": {"replicas": 1}}}]
    )

    @property
    def nothing(self) -> bool:
        """Whether nothing is asked for."""
        return (self.storage, self.ingress, self.cert_manager) == (PreparedStorage.NONE, PreparedIngress.NONE, False)

    @model_validator(mode="after")
    def _rook_is_asked_for(self) -> Self:
        if self.storage is not PreparedStorage.ROOK and self.rook != Rook():
            raise refuse("rook is described, and storage is none", "storage: rook, or no rook", "storage: rook", "rook")
        return self
