"""Assembles the drivers of a `local` site. The composition root of the kind: nothing else makes these."""

from __future__ import annotations

from agents.drivers.base import SiteDrivers
from agents.drivers.canary_local import LocalCanary
from agents.drivers.cluster_local import LocalCluster
from agents.drivers.copies_restic import ResticCopies
from agents.drivers.edge_local import LocalEdge
from agents.drivers.homes_local import LocalHomes
from agents.drivers.hub_local import LocalHubs
from agents.drivers.local.isolation import probe
from agents.drivers.local.settings import LocalSettings
from agents.drivers.preparation import NothingToPrepare
from agents.drivers.testers_local import LocalTesters
from federation.runtime.cgroups import Cgroups, site_group
from federation.runtime.clock import Clock
from federation.runtime.disk import LocalDisk
from federation.runtime.node import Progress, ensure_proxy
from federation.runtime.once import once
from federation.runtime.processes import Processes
from federation.runtime.restic_program import find_restic


def local_site(
    settings: LocalSettings,
    processes: Processes,
    clock: Clock,
    *,
    cgroups: Cgroups | None = None,
    progress: Progress = lambda _line: None,
) -> SiteDrivers:
    """Drivers over what runs on this machine now; nothing is started or installed before it is needed."""
    disk = LocalDisk()
    groups = cgroups if cgroups is not None else Cgroups.probe(site_group(settings.federation, settings.site))
    install = once(lambda: ensure_proxy(processes, clock, progress=progress))
    isolation = once(lambda: probe(settings, processes))
    restic = once(lambda: find_restic(processes, settings.copies_dir / "restic.log"))
    edge = LocalEdge(settings, processes, clock, disk, install)
    homes = LocalHomes(settings, disk)
    hubs = LocalHubs(settings, processes, clock, disk, groups, install, isolation)
    return SiteDrivers(
        cluster=LocalCluster(settings, processes, groups, isolation),
        hubs=hubs,
        homes=homes,
        edge=edge,
        canary=LocalCanary(settings, processes, clock, edge),
        copies=ResticCopies(settings, processes, clock, disk, homes, hubs, restic, isolation),
        testers=LocalTesters(settings, processes, hubs),
        preparing=NothingToPrepare(settings.site),
    )
