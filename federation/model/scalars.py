"""The words and numbers that the files share, each with its own refusal: names, hosts, dates, clock times, addresses.

Text stays text and numbers stay numbers: `"25"` is no number and `25` is no text, so that a mistyped value is seen.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import date, time
from difflib import get_close_matches
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, StrictBool, StrictInt, StringConstraints
from pydantic.types import Strict

from federation.model.identity import DNS_LABEL
from federation.model.refusal import refuse

LONGEST_HOST = 63  # a certificate's common name holds no more
LONGEST_CLASSROOM_NAME = 56  # with "-" and six characters of its uid it is a DNS label of 63
TESTER = "hubfed-tester"
"""The reserved user of test servers: in no roster, and nobody can sign in as it."""
USER_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,63}")
SECRET_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")
IMAGE_NAME = re.compile(r"[a-z0-9]+([._:/-]+[a-z0-9]+)*")
IMAGE_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
LABEL_KEY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?")
LONGEST_TEXT = 4096

Whole = StrictInt
Flag = StrictBool
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Text = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=LONGEST_TEXT)]
Count = Annotated[int, Strict(), Field(ge=0, le=1_000_000)]
Positive = Annotated[int, Strict(), Field(ge=1, le=1_000_000)]
Port = Annotated[int, Strict(), Field(ge=1, le=65535)]


def _classroom_name(value: str) -> str:
    if DNS_LABEL.fullmatch(value) is None:
        raise refuse(f"{value!r} is not a DNS label", "a-z, 0-9 and - inside, no capitals, no dots", "atm101")
    if len(value) > LONGEST_CLASSROOM_NAME:
        wrong = f"the name has {len(value)} characters"
        raise refuse(wrong, f"at most {LONGEST_CLASSROOM_NAME}: with its uid it must fit a DNS label", "atm101")
    return value


def _site_name(value: str) -> str:
    if DNS_LABEL.fullmatch(value) is None:
        raise refuse(f"{value!r} cannot be a site's name", "a DNS label: a-z, 0-9 and - inside", "iu")
    return value


def _user_name(value: str) -> str:
    lower = value.lower()
    if lower == TESTER:
        raise refuse(f"{value!r} is the user of the federation's test servers", "any other name", "s01")
    if USER_NAME.fullmatch(lower) is None:
        raise refuse(f"{value!r} cannot be a user name", "letters, digits and . _ @ + - inside, at most 64", "s01")
    return lower


def _label_key(value: str) -> str:
    if LABEL_KEY.fullmatch(value) is None:
        allowed = "letters, digits and . _ / - inside, at most 63: `fedctl get -l KEY=VALUE` must find it"
        raise refuse(f"{value!r} cannot be the key of a label", allowed, "semester")
    return value


def _secret_name(value: str) -> str:
    # the value is never repeated: it may be the secret itself
    if SECRET_NAME.fullmatch(value) is None or _looks_drawn(value):
        wrong = "this looks like a secret value; only the name of a secret belongs here (the value is not shown)"
        raise refuse(wrong, "the name that `fedctl secret set NAME` was given: a-z, 0-9, - and .", "oauth-atm101")
    return value


def _looks_drawn(value: str) -> bool:
    """Whether a legal name looks like a drawn token: long, with digits, and without a separator every 20 characters."""
    longest = max(len(part) for part in re.split(r"[.-]", value))
    return longest >= 20 and any(c.isdigit() for c in value)  # noqa: PLR2004


def _host(value: str) -> str:
    if "://" in value:
        bare = value.split("://", 1)[1].split("/", 1)[0]
        raise refuse(
            f"{value!r} has a scheme", "a host name without scheme, port or path", bare or "atm101.example.edu"
        )
    if len(value) > LONGEST_HOST:
        allowed = f"at most {LONGEST_HOST}: a certificate holds no more"
        raise refuse(f"the host has {len(value)} characters", allowed, "atm101.hubs.example.edu")
    labels = value.split(".")
    if len(labels) < 2 or any(DNS_LABEL.fullmatch(label) is None for label in labels):  # noqa: PLR2004
        allowed = "lower-case DNS labels with dots between, no port, no path, no wildcard"
        raise refuse(f"{value!r} is not a host name", allowed, "atm101.hubs.example.edu")
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(value, sorted(available_timezones()), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise refuse(
            f"{value!r} is no known time zone{hint}", "an IANA name", near[0] if near else "America/Chicago"
        ) from None
    return value


def _date(value: object) -> date:
    if type(value) is date:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise refuse(f"{value} is not in the calendar", "year-month-day", "2026-09-03") from None
    raise refuse(f"{_shown(value)} is not a date", "year-month-day", "2026-09-03")


def _clock(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"\d{2}:\d{2}", value, re.ASCII):
        try:
            return time.fromisoformat(value).strftime("%H:%M")
        except ValueError:
            raise refuse(f"{value!r} is not on the clock", "00:00 to 23:59", '"14:30"') from None
    raise refuse(f"{_shown(value)} is not a time of day", "hours and minutes, two digits each", '"14:30"')


def _image_name(value: str) -> str:
    last = value.rsplit("/", 1)[-1]
    if "@" in value or ":" in last:
        raise refuse(
            f"{value!r} has a tag or digest in it", "the bare name; tag and digest are fields", "quay.io/org/lab"
        )
    if IMAGE_NAME.fullmatch(value) is None:
        raise refuse(f"{value!r} is not an image name", "lower-case parts with / between", "quay.io/org/lab")
    return value


def _image_tag(value: str) -> str:
    if value == "latest":
        raise refuse("latest means another image every day", "a tag that never moves, or a digest", "2026-08-20")
    if IMAGE_TAG.fullmatch(value) is None:
        raise refuse(f"{value!r} is not an image tag", "letters, digits, _ . -, at most 128", "2026-08-20")
    return value


def _digest(value: str) -> str:
    if DIGEST.fullmatch(value) is None:
        raise refuse(f"{value!r} is not a digest", "sha256: and 64 hexadecimal digits", f"sha256:{'0a' * 4}...")
    return value


def _url(value: str) -> str:
    found = re.fullmatch(r"([a-z][a-z0-9+.-]*)://([^/\s]+)(/\S*)?", value)
    if found is None:
        raise refuse(f"{_shown(value)} is not a URL", "scheme, host and path", "https://example.edu/course.git")
    if "@" in found.group(2) and ":" in found.group(2).split("@")[0]:
        raise refuse(
            "the URL has a password in it (not shown)", "a URL without; name a secret beside it", "secret: git-atm101"
        )
    return value


def _cidr(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        raise refuse(f"{value!r} is not a network", "address/bits with no host bits set", "10.0.0.0/24") from None


def listen_address(value: str) -> str:
    """host:port; port 0 means: a free one."""
    host, _, port = value.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004
        raise refuse(f"{value!r} is not an address", "host:port", "127.0.0.1:8443")
    return value


EXACT = 2**53  # JSON's numbers on the wire are floating-point


def _canonical(value: JsonValue) -> JsonValue:
    """Whole floats become ints, so that a document is equal to itself after a trip over the wire."""
    if isinstance(value, dict):
        return {key: _canonical(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_canonical(inner) for inner in value]
    if isinstance(value, float | int) and not isinstance(value, bool) and not abs(value) < EXACT:
        raise refuse(f"the number {value} cannot be held exactly", "numbers below 2^53, or text", '"12345678901234567"')
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _canonical_object(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    return {key: _canonical(inner) for key, inner in value.items()}


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else f"the value {value}" if value is not None else "nothing"


def near_miss(word: str, known: list[str]) -> str:
    """The known word that `word` was probably meant to be, or nothing."""
    found = get_close_matches(word, known, n=1, cutoff=0.6)
    return found[0] if found else ""


ClassroomName = Annotated[Text, AfterValidator(_classroom_name)]
Site = Annotated[Text, AfterValidator(_site_name)]
LabelKey = Annotated[Text, AfterValidator(_label_key)]
UserName = Annotated[Text, AfterValidator(_user_name)]
SecretName = Annotated[Text, AfterValidator(_secret_name)]
Host = Annotated[Text, AfterValidator(_host)]
TimeZone = Annotated[Text, AfterValidator(_timezone)]
Day = Annotated[date, BeforeValidator(_date)]
ClockTime = Annotated[str, BeforeValidator(_clock)]
ImageName = Annotated[Text, AfterValidator(_image_name)]
ImageTag = Annotated[Text, AfterValidator(_image_tag)]
Digest = Annotated[Text, AfterValidator(_digest)]
Url = Annotated[Text, AfterValidator(_url)]
Cidr = Annotated[Text, AfterValidator(_cidr)]
Listen = Annotated[Text, AfterValidator(listen_address)]
JsonObject = Annotated[dict[str, JsonValue], AfterValidator(_canonical_object)]
