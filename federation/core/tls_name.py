"""What a handshake with an edge says of a class's certificate, in words that say what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

SOON = timedelta(days=14)  # a certificate that ends within this is spoken of while it still holds


class Trouble(StrEnum):
    EXPIRED = "expired"
    EARLY = "not valid yet"
    WRONG_NAME = "wrong name"
    UNTRUSTED = "untrusted"
    REFUSED = "handshake refused"
    SILENT = "no handshake"


@dataclass(frozen=True, slots=True)
class Handshake:
    """One handshake for `host` with the edge at `address`. `trouble` None: it was made, and the certificate is good.
    `starts`, `ends`, `names`: of the certificate that was shown, as far as it could be read. `detail`: what the TLS
    library said."""

    address: str
    host: str
    trouble: Trouble | None = None
    starts: datetime | None = None
    ends: datetime | None = None
    names: tuple[str, ...] = ()
    detail: str = ""


def problem_of(seen: Handshake) -> str:
    """Why a browser would not open the class's page; empty: it would. Says nothing that changes while it holds."""
    if seen.trouble is None:
        return ""
    return f"tls name: {seen.trouble.value}: {_words(seen, seen.trouble)}"


def warning_of(seen: Handshake, now: datetime) -> str:
    """What is about to go wrong; empty: nothing. The day is said and not how many are left: it is written on change."""
    if seen.trouble is not None or seen.ends is None or seen.ends - now > SOON:
        return ""
    return f"the certificate of {seen.host} at {seen.address} ends on {_day(seen.ends)}: renew it before"


def _words(seen: Handshake, trouble: Trouble) -> str:
    whose = f"the certificate of {seen.host} at {seen.address}"
    said = f" ({seen.detail})" if seen.detail else ""
    match trouble:
        case Trouble.EXPIRED:
            since = f" ended on {_day(seen.ends)}" if seen.ends is not None else f" has ended{said}"
            return f"{whose}{since}: renew it there, or set the clock of the host that looks"
        case Trouble.EARLY:
            since = f" begins on {_day(seen.starts)}" if seen.starts is not None else f" has not begun{said}"
            return f"{whose}{since}: set the clock of the host that looks, or issue it anew"
        case Trouble.WRONG_NAME:
            names = ", ".join(seen.names) or "another name"
            mend = "add that name to it, or find out who is in between"
            return f"the certificate at {seen.address} is for {names}, not for {seen.host}: {mend}"
        case Trouble.UNTRUSTED:
            return f"nobody vouches for {whose}{said}: install its whole chain there, or add its CA to spec.names.ca"
        case Trouble.REFUSED:
            return f"{seen.address} made no handshake for {seen.host}{said}: does it speak TLS and know this name?"
        case Trouble.SILENT:
            return f"{seen.address} takes connections and answers no handshake for {seen.host}: is what ends TLS hung?"


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d}"
