"""(2) Epochs never fall: strictly rising over changes of owner in the register, never lower in names and journals."""

from __future__ import annotations

from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import History, Journaled, NameWritten, Owner, Pair

NAME = "2 epochs"


def check(history: History) -> Verdict:
    verdict = Verdict(NAME)
    owners: dict[str, tuple[Pair, str]] = {}
    names: dict[tuple[str, str], Pair] = {}
    floors: dict[tuple[str, str], Pair] = {}
    for event in history.events:
        match event:
            case Owner(hub=hub, owner=owner, epoch=epoch):
                before, former = owners.get(hub, ((-1, -1), ""))
                released = not owner and not event.tombstone  # for a planned move: nobody's, at the same epoch
                if epoch < before or (epoch == before and owner != former and not released):
                    verdict.found(event.at, f"{owner or 'nobody'} owns it at {epoch}, {former} did at {before}", hub)
                owners[hub] = (epoch, owner)
            case NameWritten(host=host, hub=hub, epoch=epoch):
                if epoch < names.get((host, hub), epoch):
                    verdict.found(event.at, f"{host} was at {names[host, hub]} and is at {epoch}", hub)
                names[host, hub] = epoch
            case Journaled(site=site, lost=True):
                floors = {key: floor for key, floor in floors.items() if key[0] != site}
            case Journaled(site=site):
                for hub, epoch in event.floor.items():
                    if epoch < floors.get((site, hub), epoch):
                        verdict.found(event.at, f"{site}'s floor fell to {epoch}", hub, (site,))
                    floors[site, hub] = epoch
    return verdict.done()
