"""From a site file to the drivers of the site's kind."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

from agents.drivers.base import Capacity, SiteDrivers
from agents.drivers.local.copy_store import S3
from agents.drivers.local.settings import FIRST_STUDENT_UID, CopyStore, LocalSettings
from agents.drivers.local.site import local_site
from agents.drivers.local.uid_ranges import first_uid
from federation.model.errors import Refused
from federation.model.site_file import SiteFile, SiteKind
from federation.runtime.clock import Clock
from federation.runtime.processes import Processes, SystemProcesses

NOWHERE = Capacity(0, 0)
LIBRARIES = "Install hubfed with its extra `kubernetes`, as scripts/setup does."


def site_drivers(site: SiteFile, folder: Path, state_dir: Path, runtime_dir: Path, clock: Clock) -> SiteDrivers:
    """Relative paths in the site file start at its `folder`. Refused for a kind that has no drivers yet."""
    here, processes = on_this_host(site, folder, state_dir, runtime_dir), SystemProcesses(clock)
    match site.spec.kind:
        case SiteKind.LOCAL:
            return local_site(here, processes, clock)
        case SiteKind.KUBERNETES:
            return in_a_cluster(site, folder, here, processes, clock)
        case kind:
            raise Refused(f"site {site.name}: no drivers for kind {kind.value} yet", help="Use kind: kubernetes.")


def in_a_cluster(site: SiteFile, folder: Path, here: LocalSettings, processes: Processes, clock: Clock) -> SiteDrivers:
    """Its libraries are read here and not before: they take 40 MiB that an agent of a local site has no use for."""
    try:
        kind = import_module("agents.drivers.kubernetes.site")
    except ModuleNotFoundError as error:
        raise Refused(f"site {site.name}: {error.name} is not installed", help=LIBRARIES) from error
    drivers: SiteDrivers = kind.from_file(site, folder, here, processes, clock)
    return drivers


def on_this_host(site: SiteFile, folder: Path, state_dir: Path, runtime_dir: Path) -> LocalSettings:
    """Where the agent and what runs beside it are: at local sites hubs, at others the edge."""
    capacity = site.spec.capacity
    host, _, port = site.spec.edge.listen.rpartition(":")
    return LocalSettings(
        site=site.name,
        federation=os.environ.get("HUBFED_DIR", str(state_dir)),
        state_dir=state_dir,
        runtime_dir=runtime_dir,
        homes_dir=Path(site.spec.homes_dir) if site.spec.homes_dir else state_dir / "homes",
        capacity=Capacity(capacity.cpu.millis, capacity.memory.bytes) if capacity is not None else NOWHERE,
        edge_host=host,
        edge_port=int(port),
        edge_address=site.spec.edge.address or "",
        first_student_uid=first_uid(state_dir) if os.getuid() == 0 else FIRST_STUDENT_UID,
        copies=copy_store(site, folder),
    )


def copy_store(site: SiteFile, folder: Path) -> CopyStore | None:
    """Where the site's copies go."""
    copies = site.spec.copies
    if copies is None:
        return None
    place = copies.store if copies.store.startswith(S3) else str(folder / copies.store)
    credentials, cacert = (folder / path if path else None for path in (copies.credentials, copies.cacert))
    return CopyStore(place, credentials, cacert)
