"""What an agent does about one hub, decided from wanted, held and observed in one pure call.

The table, top row first:

| evidence that it ended | held           | wanted at the held epoch | then                                           |
| yes                    | -              | -                        | stop it; when nothing is left, remains may go  |
| no                     | its time is over | -                      | stop it; it starts again with the next grant   |
| no                     | yes            | running                  | start it, or mend what died (same order: no-op) |
| no                     | yes            | running, of an earlier ownership, and a restore is due | stop it |
| no                     | yes            | stopped                  | stop it: the site still holds it, and a move began |
| no                     | yes            | released, and its final copy is the one on record | give the epoch up for ever |
| no                     | yes            | no, or another epoch     | leave it as it is, wait for the directive      |
| no                     | no             | -                        | leave it as it is; the gate is closed          |

A hub that was granted and is not taken up yet (`waits`) is not held; what runs of an ended epoch is stopped meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from federation.core.holding import Held
from federation.model.identity import Epoch


@dataclass(frozen=True, slots=True)
class WantedHub:
    """The newest directive about the hub."""

    epoch: Epoch
    running: bool
    generation: int = 0
    delete_homes: bool = False
    release: bool = False  # stopped for a planned move, and to be given up
    replaced: bool = False  # its homes are to be replaced, and what runs here is not of this ownership
    unsaved: str = ""  # why it must not be given up: the copy on record is not known to be all that is here


class Act(StrEnum):
    START = "start"
    STOP = "stop"
    DELETE_HOMES = "delete-homes"
    RELEASE = "release"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True)
class Decision:
    """One act and why."""

    act: Act
    reason: str


def decide(
    *,
    wanted: WantedHub | None,
    held: Held | None,
    ended: Epoch | None,
    processes: int,
    has_homes: bool,
    now_ns: int,
    waits: str = "",
) -> Decision:
    """The one next act for a hub at this site. `waits`: why its grant is not taken up yet."""
    if held is None and ended is not None:
        if processes > 0:
            return Decision(Act.STOP, f"ownership ended at {ended}")
        if wanted is not None and not wanted.running and wanted.delete_homes and wanted.epoch == ended and has_homes:
            return Decision(Act.DELETE_HOMES, "retired with its homes")
        return Decision(Act.LEAVE, waits or "ended and stopped")
    if held is None:
        return Decision(Act.LEAVE, waits or "no grant")
    if held.lapsed(now_ns):
        over = "the site's lease has run out"
        return Decision(Act.STOP, over) if processes > 0 else Decision(Act.LEAVE, over)
    if wanted is None:
        return Decision(Act.LEAVE, "no directive yet")
    if wanted.epoch != held.epoch:
        return Decision(Act.LEAVE, f"the directive is of epoch {wanted.epoch}, held is {held.epoch}")
    if not wanted.running:
        return _moved(wanted, processes)
    if wanted.replaced and processes > 0:
        return Decision(Act.STOP, "it is of an earlier ownership, and its homes are to be replaced")
    return Decision(Act.START, "granted and wanted")


def _moved(wanted: WantedHub, processes: int) -> Decision:
    """A planned move of a hub that this site holds: stopped first, and given up only when nothing could be missing."""
    if processes > 0:
        return Decision(Act.STOP, "the class is moved to another site")
    if not wanted.release:
        return Decision(Act.LEAVE, "stopped for a move")
    return Decision(Act.LEAVE, wanted.unsaved) if wanted.unsaved else Decision(Act.RELEASE, "moved to another site")
