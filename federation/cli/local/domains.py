"""The failure domains of a local federation, and what of the register and of the coordinators runs in each.

With two sites or more there are three: the first two sites and the witness, each with one register member and one
coordinator, so that the loss of any one leaves a majority. One site alone has nothing to fail over to: one member.
"""

from __future__ import annotations

from dataclasses import dataclass

from federation.model.federation_file import WITNESS

FRONT_DOOR = "frontdoor"


@dataclass(frozen=True, slots=True)
class Domain:
    """What is lost together. `name` is a site's, or `witness`."""

    name: str
    coordinators: tuple[str, ...]

    @property
    def etcd(self) -> str:
        """Its register member: name of the program, of its certificate, and of the port for clients."""
        return f"etcd-{self.name}"

    @property
    def peer(self) -> str:
        """The member's port for the other members."""
        return f"peer-{self.name}"


def domains_of(sites: tuple[str, ...]) -> tuple[Domain, ...]:
    """Those that hold a part of the register; further sites hold hubs only."""
    if len(sites) == 1:
        return (Domain(sites[0], ("c1", "c2")),)  # two, so that one can be killed
    return tuple(Domain(name, (f"c{n}",)) for n, name in enumerate((*sites[:2], WITNESS), 1))


def agent_of(site: str) -> str:
    """A site's agent: name of the program, of its certificate, and of the port at which other agents ask it."""
    return f"agent-{site}"


def ports_of(domains: tuple[Domain, ...], sites: tuple[str, ...]) -> tuple[str, ...]:
    """The roles that need a port."""
    register = (role for domain in domains for role in (domain.etcd, domain.peer))
    coordinators = (name for domain in domains for name in domain.coordinators)
    return (*register, *coordinators, FRONT_DOOR, *(agent_of(site) for site in sites))
