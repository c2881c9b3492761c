"""What one coordinator sees of a class from where it is: an outside view, beside what the class's own site says."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime

from federation.model.schema import Document

FIRM = 3  # misses in a row after which more of them say nothing new


class Fault(StrEnum):
    NONE = ""
    NAME = "name"  # the name leads nowhere, elsewhere, or could not be asked for
    TLS = "tls name"  # it leads to the owner's edge, whose certificate no browser would take for this name
    SERVER = "server"  # the page is there, and a test server does not start
    PAGE = "page"  # it leads to the owner's edge, and no login page comes from there


class Outlook(Document):
    """Key `outlook/<uid>/<coordinator>`, on change only; it vanishes when the coordinator falls silent. `place`: the
    failure domain at which it looks, never the owner's. `problem`: why the class is not seen; empty: it is."""

    coordinator: str
    place: str
    hub: str
    site: str  # whose edge it found, or should have
    problem: str = ""
    fault: Fault = Fault.NONE
    misses: int = 0  # looks in a row that failed, at most FIRM
    reaches: tuple[str, ...] = ()
    """Other sites whose edge answered when this class was missed for sure, by https with a certificate of its name."""
    warning: str = ""  # what is about to go wrong while it is still seen


class Trial(Outlook):
    """Key `trial/<uid>/<coordinator>`: what became of one coordinator's last test server in the class. `passed`: the
    newest generation of which one has started at this site, as far as this coordinator remembers."""

    at: AwareDatetime
    passed: int = 0
