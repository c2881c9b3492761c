"""A site file (kind Site): what one site is, read by its agent. Validated and immutable.

Today the fields of `local` and `kubernetes` sites have an effect; those of clouds are accepted and kept, so that files can
be written and checked before their drivers come.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self

from pydantic import ConfigDict, Field, model_validator

from federation.model.profile import ProfileName
from federation.model.quantities import Cpu, Memory
from federation.model.refusal import Problem, refuse, refuse_all
from federation.model.scalars import (
    Count,
    Day,
    Flag,
    Listen,
    Number,
    Positive,
    SecretName,
    Site,
    Text,
    Url,
)
from federation.model.schema import Model
from federation.model.site_cluster import Cluster
from federation.model.site_prepare import Prepare

EVERYWHERE = ("0.0.0.0", "::", "*")  # noqa: S104 - refused as an address, not listened on


class SiteKind(StrEnum):
    LOCAL = "local"
    KUBERNETES = "kubernetes"
    OPENSTACK = "openstack"


class TlsPaths(Model):
    """Files of a certificate; relative paths start at the folder of the file that names them."""

    ca: Text = Field(description="Certificates that are trusted.", examples=["pki/ca.crt"])
    cert: Text = Field(description="The own certificate.", examples=["pki/agent-iu.crt"])
    key: Text = Field(description="Its private key; readable by nobody else.", examples=["pki/agent-iu.key"])


class SiteCapacity(Model):
    """What the site can guarantee to seats, all classes together."""

    cpu: Cpu = Field(description="Cores.", examples=[30])
    memory: Memory = Field(description="Memory.", examples=["60G"])


class Edge(Model):
    """The site's front proxy."""

    listen: Listen = Field(
        "127.0.0.1:0",
        description="host:port; port 0 takes a free one and keeps it. Of an edge in a cluster the port is one of every "
        "node (NodePort), and 0 means that it is reached inside of the cluster alone, by an ingress.",
    )
    address: Listen | None = Field(
        None,
        description="Where students and coordinators reach it, if not where it listens; names lead there.",
        examples=["192.0.2.10:80"],
    )
    kind: Text | None = Field(None, description="Software of a cloud site's edge.", examples=["traefik"])
    floating_ip: Text | None = Field(
        None, description="Address that stays when the edge is replaced.", examples=["149.165.1.2"]
    )


class AgentSettings(Model):
    """How the agent reaches the coordinators."""

    coordinators: tuple[Listen, ...] = Field(
        description="All of them.", examples=[["c1.example.edu:8443"]], min_length=1
    )
    tls: TlsPaths | None = Field(None, description="The agent's certificate.")
    peer_address: Listen | None = Field(
        None,
        description="Where the agents of other sites reach it while no coordinator answers; without it at every site the "
        "failsafe is off.",
        examples=["hubs.iu.example.edu:8444"],
    )
    peer_listen: Listen | None = Field(
        None, description="Where it listens for them, if not at peer_address.", examples=["0.0.0.0:8444"]
    )
    edge_address: Listen | None = Field(
        None,
        description="Sites with a cluster: where the edge in the cluster reaches the agent, to ask what may be open. "
        "Without it the edge runs beside the agent.",
        examples=["10.0.0.5:8446"],
    )
    edge_listen: Listen | None = Field(
        None, description="Where the agent listens for it, if not at edge_address.", examples=["0.0.0.0:8446"]
    )
    profile: ProfileName = Field(ProfileName.NORM, description="Failover timing; the federation's own.")

    @model_validator(mode="after")
    def _others_can_reach_it(self) -> Self:
        for who, address, listen in (
            ("peer", self.peer_address, self.peer_listen),
            ("edge", self.edge_address, self.edge_listen),
        ):
            example, field = "hubs.iu.example.edu:8444", f"{who}_address"
            if (address or "").rpartition(":")[0].strip("[]") in EVERYWHERE:
                wrong = f"{field} {address} is every address of this host, and nowhere for another one"
                raise refuse(wrong, "an address that others reach", example, field)
            if listen is not None and address is None:
                wrong = f"{who}_listen is {listen}, and no {field} says where others reach it"
                raise refuse(wrong, f"{field} beside it", example, field)
        return self


class Cloud(Model):
    """An OpenStack project."""

    auth: SecretName = Field(
        description="Name of the secret with the application credential.", examples=["openstack-iu"]
    )
    expires_at: Day | None = Field(None, description="Last day of the credential.", examples=["2027-06-30"])
    project: Text | None = Field(None, description="Project.", examples=["ees220002"])
    zone: Text | None = Field(None, description="DNS zone, with a dot at the end.", examples=["ees220002.example.org."])
    network: Text = Field("auto_allocated_network", description="Network of the machines.")

    @model_validator(mode="after")
    def _zone_ends_with_dot(self) -> Self:
        if self.zone is not None and not self.zone.endswith("."):
            raise refuse(f"the zone {self.zone!r} has no dot at its end", "a full zone name", f"{self.zone}.", "zone")
        return self


class MagnumDriver(StrEnum):
    PROBE = "probe"
    CAPI_STACKHPC = "capi-stackhpc"
    CAPI_VEXXHOST = "capi-vexxhost"
    HEAT = "heat"
    NONE = "none"


class Magnum(Model):
    """The cluster service."""

    driver: MagnumDriver = Field(MagnumDriver.PROBE, description="Which driver; decides what resizing means.")
    template: Text | None = Field(
        None, description="Cluster template.", examples=["kubernetes-1-33-jammy-fixed-labels"]
    )
    api_max: Text = Field("probe", description="Newest API version to use.")


class Purpose(StrEnum):
    CORE = "core"
    USERS = "users"
    STORAGE = "storage"
    GPU = "gpu"


class PoolMode(StrEnum):
    AUTOSCALE = "autoscale"
    FIXED = "fixed"


class Pool(Model):
    """A group of equal nodes."""

    name: Site = Field(description="A name without dots.", examples=["mediums"])
    flavor: Text = Field(description="Size of the machines.", examples=["m3.medium"])
    min: Count = Field(0, description="Fewest nodes.")
    max: Positive = Field(description="Most nodes.", examples=[8])
    purpose: Purpose = Field(Purpose.USERS, description="What runs there.")
    mode: PoolMode = Field(PoolMode.FIXED, description="Who sets the number of nodes.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.max < self.min:
            raise refuse(f"max {self.max} is below min {self.min}", "max at least min", str(self.min), "max")
        return self


class StorageBackend(StrEnum):
    ROOK = "rook"
    CINDER = "cinder"
    HOME_NFS = "home-nfs"


class SiteStorage(Model):
    """Volumes of a cloud site."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    backend: StorageBackend = Field(StorageBackend.CINDER, description="What makes volumes.")
    storage_class: Text | None = Field(None, alias="class", description="Default class.", examples=["ceph-block"])
    snapshot_class: Text | None = Field(None, description="Class of snapshots.", examples=["ceph-snapshots"])


S3_STORE = re.compile(r"s3:https://[^/]+/[^/]{3,63}(/[^/]+)*")


class Copies(Model):
    """Where copies of students' homes go, so that another site can go on with them: the same place at every site."""

    store: Text = Field(
        description="A folder that every site sees, or an S3 bucket; copies are encrypted. Each site writes only below "
        "its own name there, and its keys should allow no more; the folder has to be there.",
        examples=["s3:https://s3.example.edu/hub-homes"],
    )
    credentials: Text | None = Field(
        None,
        description="File with the keys of an S3 store, lines AWS_ACCESS_KEY_ID=... and AWS_SECRET_ACCESS_KEY=...; "
        "readable by nobody else.",
        examples=["/etc/hubfed/copies.env"],
    )
    cacert: Text | None = Field(
        None,
        description="Certificates that are trusted for the store; default: those of the system.",
        examples=["/etc/hubfed/s3-ca.pem"],
    )

    @model_validator(mode="after")
    def _store_is_known(self) -> Self:
        scheme, colon, _ = self.store.partition(":")
        if colon and "/" not in scheme and S3_STORE.fullmatch(self.store) is None:
            wrong = f"{self.store!r} is no place for copies"
            allowed = "a folder, or s3:https:// with host, bucket and perhaps a prefix, without a slash at the end"
            raise refuse(wrong, allowed, "s3:https://s3.example.edu/hub-homes", "store")
        if colon and "/" not in scheme and self.credentials is None:
            wrong = "an S3 store needs keys, and no file is named"
            raise refuse(wrong, "a file", "credentials: /etc/hubfed/copies.env", "credentials")
        return self


class Allocation(Model):
    """Service units of the site."""

    su_limit: Positive | None = Field(None, description="All there are.", examples=[730000])
    end: Day | None = Field(None, description="Last day.", examples=["2027-06-30"])
    source: Url | None = Field(None, description="Where use is read.", examples=["https://js2.example.org:9001"])


class Reserve(Model):
    """What each node needs for itself."""

    cpu: Cpu = Field(Cpu(500), description="Cores.")
    memory: Memory = Field(Memory(3 << 29), description="Memory.")


class Registry(Model):
    """Where images come from."""

    mirror: Text | None = Field(None, description="Mirror.", examples=["mirror.example.edu"])
    pull_budget: Positive | None = Field(None, description="Pulls in six hours.", examples=[100])


class Maintenance(Model):
    """Days on which nothing is moved to the site."""

    start: Day = Field(description="First day.", examples=["2026-12-21"])
    end: Day = Field(description="Last day, included.", examples=["2026-12-23"])

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise refuse(
                f"it ends {self.end}, before it starts {self.start}", "end on or after start", str(self.start), "end"
            )
        return self


class Trust(Model):
    """What the site may be used for."""

    can_be_standby: Flag = Field(True, description="Whether classes of other sites may come over.")
    weight: Number = Field(1.0, description="Preference among sites that fit equally.", ge=0, le=100)


class SiteSpec(Model):
    """Everything below `spec` of a site file."""

    kind: SiteKind = Field(description="Which drivers.", examples=["local"])
    region: Text | None = Field(None, description="Region of the cloud.", examples=["RegionOne"])
    capacity: SiteCapacity | None = Field(None, description="Declared for local sites, measured at others.")
    edge: Edge = Field(Edge(), description="The front proxy.")
    agent: AgentSettings | None = Field(None, description="How the agent reaches the coordinators.")
    homes_dir: Text | None = Field(
        None, description="Local sites: folder of the homes; default: in the state folder.", examples=["/srv/homes"]
    )
    state_dir: Text | None = Field(
        None,
        description="Folder of the agent's state; default: given on its command line.",
        examples=["/var/lib/hubfed"],
    )
    cloud: Cloud | None = Field(None, description="OpenStack project.")
    magnum: Magnum | None = Field(None, description="Cluster service.")
    pools: tuple[Pool, ...] = Field((), description="Groups of nodes.")
    cluster: Cluster | None = Field(None, description="Sites of kind kubernetes: the cluster.")
    storage: SiteStorage | None = Field(None, description="Volumes.")
    prepare: Prepare | None = Field(None, description="What `fedctl sites prepare` installs in a bare cluster.")
    copies: Copies | None = Field(None, description="Copies of homes; without it none are made, and no class can move.")
    allocation: Allocation | None = Field(None, description="Service units.")
    reserve: Reserve = Field(Reserve(), description="Per node, for itself.")
    prices: dict[str, Number] = Field(
        {}, description="Service units per hour of each flavor.", examples=[{"m3.medium": 8.0}]
    )
    registry: Registry | None = Field(None, description="Images.")
    maintenance: tuple[Maintenance, ...] = Field((), description="Days without moves.")
    trust: Trust = Field(Trust(), description="What it may be used for.")

    @model_validator(mode="after")
    def _kind_has_what_it_needs(self) -> Self:
        problems = []
        if self.kind is SiteKind.LOCAL and self.capacity is None:
            example = "capacity: {cpu: 30, memory: 60G}"
            problems.append(
                Problem(
                    "a local site declares its capacity, and none is given", "cpu and memory", example, ("capacity",)
                )
            )
        host = self.edge.listen.rpartition(":")[0].strip("[]")
        if self.kind is not SiteKind.OPENSTACK and host in EVERYWHERE and self.edge.address is None:
            wrong = f"the edge listens at {self.edge.listen}, every address of this host, and names must lead to one"
            problems.append(Problem(wrong, "address beside it", "192.0.2.10:80", ("edge", "address")))
        if self.kind is SiteKind.KUBERNETES and self.cluster is None:
            example = "cluster: {kubeconfig: /etc/hubfed/kubeconfig}"
            problems.append(
                Problem("a kubernetes site names its cluster, and none is given", "cluster", example, ("cluster",))
            )
        if self.kind is SiteKind.OPENSTACK and self.cloud is None:
            example = "cloud: {auth: openstack-iu}"
            problems.append(
                Problem("an openstack site names its project, and none is given", "cloud", example, ("cloud",))
            )
        if self.kind is SiteKind.LOCAL and self.agent is not None and self.agent.edge_address is not None:
            wrong = "edge_address is for an edge in a cluster, and a local site's edge runs beside its agent"
            problems.append(Problem(wrong, "no edge_address", "peer_address", ("agent", "edge_address")))
        if self.kind is SiteKind.LOCAL and self.prepare is not None:
            wrong = "a local site has no cluster to prepare"
            problems.append(Problem(wrong, "no prepare", "kind: kubernetes", ("prepare",)))
        names = [pool.name for pool in self.pools]
        for index, name in enumerate(names):
            if name in names[:index]:
                problems.append(
                    Problem(f"two pools are named {name}", "each name once", "mediums", ("pools", index, "name"))
                )
        if problems:
            raise refuse_all(problems)
        return self


class SiteMetadata(Model):
    """What names a site."""

    name: Site = Field(description="A DNS label.", examples=["iu"])
    labels: dict[Text, Text] = Field({}, description="Your own marks.", examples=[{"region": "midwest"}])


class SiteFile(Model):
    """A site file."""

    model_config = ConfigDict(title="Site")

    apiVersion: str = Field(description="Version of this format.", examples=["hubfed/v1"], pattern=r"^hubfed/v1$")  # noqa: N815
    kind: str = Field(description="Kind of the document.", examples=["Site"], pattern=r"^Site$")
    metadata: SiteMetadata = Field(description="Its name and labels.")
    spec: SiteSpec = Field(description="What it is.")

    @property
    def name(self) -> str:
        """The site's name."""
        return self.metadata.name
