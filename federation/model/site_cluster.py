"""The cluster of a site that brings its own: how it is reached, what runs in it, and who reaches whom. Part of
`federation.model.site_file`."""

from __future__ import annotations

from pydantic import Field

from federation.model.scalars import Cidr, JsonObject, Text
from federation.model.schema import Model


class Cluster(Model):
    """The Kubernetes cluster of a site that brings its own."""

    kubeconfig: Text = Field(
        description="How the agent reaches the cluster, and as whom: its current context.",
        examples=["/etc/hubfed/kubeconfig"],
    )
    charts: Text | None = Field(
        None,
        description="Folder with the upstream charts; default: the one that HUBFED_CHARTS names.",
        examples=["/var/lib/hubfed/charts"],
    )
    image: Text | None = Field(
        None,
        description="Image with this program and restic, for the short pods that copy students' homes; without it none are "
        "copied, and no class can move. If spec.copies.store is a folder, it is on every node under the same path.",
        examples=["registry.example.edu/hubfed:0.1.0"],
    )
    agent_networks: tuple[Cidr, ...] = Field(
        (),
        description="Where hubs and proxies see this agent come from, and nobody else gets to them; default: the host of "
        "spec.agent.edge_address, if it is an address. Tunnels between nodes have addresses of their own.",
        examples=[["10.0.0.5/32", "10.244.3.0/32"]],
    )
    closed: tuple[Cidr, ...] = Field(
        (),
        description="Networks that students' servers must not reach although they are public: of nodes, of the API server. "
        "Private networks are closed in any case.",
        examples=[["192.0.2.0/28"]],
    )
    values: JsonObject = Field(
        {},
        description="Values of the JupyterHub chart for every hub of the site: mirrors of images, for example. A class's "
        "overrides.values beat them.",
        examples=[{"prePuller": {"continuous": {"enabled": False}}}],
    )
