"""Rules across sections of a classroom. Each works on the sections that are valid by themselves, so that one bad
section does not hide what is wrong between the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, cast

from federation.model.classroom_people import WORKSHOP_DAYS, Admit, Auth, AuthType, Meeting, Roster, Term
from federation.model.classroom_running import Overrides
from federation.model.classroom_seat import Image, Resources
from federation.model.refusal import Place, Problem

Sections = Mapping[str, Any]
SECRET_KEY = re.compile(
    r"(.*[_.-])?(client[_-]?secret|password|passwd|secret[_-]?token|cookie[_-]?secret|api[_-]?key|private[_-]?key"
    r"|access[_-]?token|auth[_-]?token|token|secret[_-]?key)",
    re.IGNORECASE,
)


def _meetings_in_term(sections: Sections) -> Iterator[Problem]:
    term, meetings = cast(Term, sections["term"]), cast(tuple[Meeting, ...], sections["meetings"])
    span = f"from {term.start} to {term.end}"
    for index, meeting in enumerate(meetings):
        if meeting.once is not None and not term.has(meeting.once.date):
            wrong = f"{meeting.once.date} is outside the term {span}"
            yield Problem(wrong, "a day of the term", str(term.start), ("meetings", index, "once", "date"))
        if meeting.weekly is None or term.days >= 7:  # noqa: PLR2004
            continue
        weekdays = {(term.start + timedelta(days=day)).weekday() for day in range(term.days)}
        for number, day in enumerate(meeting.weekly.days):
            if day.number not in weekdays:
                wrong = f"no {day} is in the term {span}"
                yield Problem(
                    wrong, "days of the week that are in it", "once", ("meetings", index, "weekly", "days", number)
                )


def _attendance_expected(sections: Sections) -> Iterator[Problem]:
    roster, meetings = cast(Roster, sections["roster"]), cast(tuple[Meeting, ...], sections["meetings"])
    for index, meeting in enumerate(meetings):
        if meeting.attend is not None and meeting.attend > roster.expected:
            wrong = f"{meeting.attend} attend but {roster.expected} are expected"
            place: Place = ("meetings", index, "attend")
            yield Problem(wrong, f"at most roster.expected, {roster.expected}", str(roster.expected), place)


def _roster_expected(sections: Sections) -> Iterator[Problem]:
    roster = cast(Roster, sections["roster"])
    if len(roster.students) > roster.expected:
        wrong = f"{roster.expected} students are expected but users lists {len(roster.students)}"
        yield Problem(wrong, f"at least {len(roster.students)}", str(len(roster.students)), ("roster", "expected"))


def _secret_named(sections: Sections) -> Iterator[Problem]:
    auth = cast(Auth, sections["auth"])
    if auth.type is not AuthType.DUMMY and auth.secret is None:
        wrong = f"sign-in with {auth.type} needs a client id and secret, and names none"
        yield Problem(
            wrong, "the name of a secret (`fedctl secret set NAME`)", "secret: oauth-atm101", ("auth", "secret")
        )


def _workshop_mode(sections: Sections) -> Iterator[Problem]:
    term, roster, auth = cast(Term, sections["term"]), cast(Roster, sections["roster"]), cast(Auth, sections["auth"])
    place: Place = ("roster", "admit")
    if roster.admit is Admit.ANYONE_WITH_PASSWORD:
        if auth.type is not AuthType.DUMMY:
            yield Problem(f"{auth.type} has no shared password", "with auth.type dummy only", "admit: roster", place)
        if term.days > WORKSHOP_DAYS:
            wrong = f"one password for everybody over {term.days} days"
            yield Problem(wrong, f"workshops of at most {WORKSHOP_DAYS} days", "admit: roster", place)
    if roster.admit is Admit.DOMAIN and auth.type is AuthType.DUMMY:
        yield Problem("dummy sign-in knows no domains", "with github, globus or cilogon", "admit: roster", place)


def _sidecars_named(sections: Sections) -> Iterator[Problem]:
    resources, image = cast(Resources, sections["resources"]), cast(Image, sections["image"])
    known = [car.name for car in image.sidecars]
    for index, profile in enumerate(resources.profiles):
        if profile.sidecar is not None and profile.sidecar not in known:
            wrong = f"{profile.sidecar} is no sidecar of the image"
            allowed = f"one of {', '.join(known)}" if known else "none: image.sidecars is empty"
            yield Problem(
                wrong, allowed, known[0] if known else "leave it out", ("resources", "profiles", index, "sidecar")
            )


def _options_hold_no_secret(sections: Sections) -> Iterator[Problem]:
    yield from _planted(cast(Auth, sections["auth"]).options, ("auth", "options"))


def _overrides_hold_no_secret(sections: Sections) -> Iterator[Problem]:
    yield from _planted(cast(Overrides, sections["overrides"]).values, ("overrides", "values"))


def _environment_holds_no_secret(sections: Sections) -> Iterator[Problem]:
    yield from _planted(cast(Image, sections["image"]).profiles_env, ("image", "profiles_env"))


def _planted(value: object, place: Place) -> Iterator[Problem]:
    """Values under keys that hold secrets; the value itself is never repeated."""
    items: Iterator[tuple[str | int, object]] = iter(())
    if isinstance(value, dict):
        items = iter(value.items())
    elif isinstance(value, list):
        items = iter(enumerate(value))
    for key, inner in items:
        if isinstance(key, str) and isinstance(inner, str) and inner and SECRET_KEY.fullmatch(_snake(key)):
            wrong = f"{key} holds a secret value (not shown)"
            yield Problem(wrong, "secrets are given by name, with auth.secret", "secret: oauth-atm101", (*place, key))
        else:
            yield from _planted(inner, (*place, key))


def _snake(key: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", key)


Rule = Callable[[Sections], Iterator[Problem]]
RULES: tuple[tuple[Rule, tuple[str, ...]], ...] = (
    (_meetings_in_term, ("term", "meetings")),
    (_attendance_expected, ("roster", "meetings")),
    (_roster_expected, ("roster",)),
    (_secret_named, ("auth",)),
    (_workshop_mode, ("term", "roster", "auth")),
    (_sidecars_named, ("resources", "image")),
    (_options_hold_no_secret, ("auth",)),
    (_overrides_hold_no_secret, ("overrides",)),
    (_environment_holds_no_secret, ("image",)),
)


def problems_of(sections: Sections) -> list[Problem]:
    """What is wrong between the sections that are given (those that are valid by themselves)."""
    return [problem for rule, needs in RULES if all(need in sections for need in needs) for problem in rule(sections)]
