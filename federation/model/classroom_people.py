"""Who is in a class and when: contacts, roster, sign-in, term, meetings. Part of `federation.model.classroom`."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, Strict, field_validator, model_validator

from federation.model.quantities import Duration
from federation.model.refusal import Problem, refuse, refuse_all
from federation.model.scalars import (
    ClockTime,
    Count,
    Day,
    Flag,
    JsonObject,
    Positive,
    SecretName,
    Text,
    TimeZone,
    Url,
    UserName,
)
from federation.model.schema import Model

Minutes = Annotated[int, Strict(), Field(ge=1, le=1440)]
WORKSHOP_DAYS = 14  # longer terms with one password for everybody are refused
MINUTES_A_DAY = 1440


class Admit(StrEnum):
    ROSTER = "roster"
    DOMAIN = "domain"
    ANYONE_WITH_PASSWORD = "anyone-with-password"  # noqa: S105


class Sync(StrEnum):
    TWO_WAY = "two-way"
    ONE_WAY = "one-way"


class AuthType(StrEnum):
    GITHUB = "github"
    GLOBUS = "globus"
    CILOGON = "cilogon"
    DUMMY = "dummy"


class Weekday(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"

    @property
    def number(self) -> int:
        """Monday is 0, as in `date.weekday`."""
        return list(Weekday).index(self)


class Term(Model):
    """From the first to the last day, both included, in the class's own time zone."""

    start: Day = Field(description="First day of the class.", examples=["2026-08-24"])
    end: Day = Field(description="Last day, included.", examples=["2026-12-18"])
    timezone: TimeZone = Field(
        description="IANA time zone of the class; weekly times follow its daylight saving.",
        examples=["America/Chicago"],
    )
    grace_days: Count = Field(14, description="Days after the end without new servers, homes still readable.")
    keep_homes_days: Count = Field(90, description="Days after the end that homes are kept.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end < self.start:
            raise refuse(
                f"the term ends {self.end}, before it starts {self.start}",
                "end on or after start",
                str(self.start),
                "end",
            )
        return self

    @property
    def days(self) -> int:
        """How many days, first and last included."""
        return (self.end - self.start).days + 1

    def has(self, day: date) -> bool:
        """Whether `day` is in the term."""
        return self.start <= day <= self.end


class Contacts(Model):
    """Who is told about moves and budget."""

    instructor: Text = Field(description="Who teaches: a user name or an address.", examples=["prof-gh-name"])
    support: Text | None = Field(None, description="Who helps when it does not work.", examples=["help-desk"])


class Roster(Model):
    """Who may sign in. Names are lower-cased and sorted; one who is also an admin is no student."""

    expected: Positive = Field(description="How many students are expected: sizes the class.", examples=[25])
    admins: tuple[UserName, ...] = Field(
        description="Instructors and assistants: they see the admin page.", examples=[["prof-gh-name"]], min_length=1
    )
    users: tuple[UserName, ...] = Field((), description="Students' user names.", examples=[["s01", "s02"]])
    users_file: Text | None = Field(
        None,
        description="A file beside this one, a user name in the first column of each line; read into users by fedctl.",
        examples=["roster.csv"],
    )
    admit: Admit = Field(Admit.ROSTER, description="Who may sign in; anyone-with-password is for workshops.")
    sync: Sync = Field(Sync.TWO_WAY, description="Whether names added on the hub's admin page are kept.")

    @field_validator("admins", "users", mode="after")
    @classmethod
    def _different(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        first: dict[str, int] = {}
        problems = []
        for index, name in enumerate(names):
            if name in first:
                wrong = f"{name} is also number {first[name] + 1} of the list, in lower case"
                problems.append(Problem(wrong, "each user once; capitals make no difference", "remove one", (index,)))
            first.setdefault(name, index)
        if problems:
            raise refuse_all(problems)
        return tuple(sorted(names))

    @property
    def students(self) -> tuple[str, ...]:
        """The users who are not admins."""
        return tuple(user for user in self.users if user not in self.admins)


class Auth(Model):
    """How people sign in. A secret is given by name only; `fedctl secret set` stores its value."""

    type: AuthType = Field(AuthType.GITHUB, description="The service that knows the users; dummy: one shared password.")
    secret: SecretName | None = Field(
        None,
        description="Name of the secret with the client id and secret (dummy: the password; drawn if left out).",
        examples=["oauth-atm101"],
    )
    options: JsonObject = Field(
        {}, description="Further options of the authenticator.", examples=[{"allowed_idps": []}]
    )


class Weekly(Model):
    """The same hour on the same days of each week of the term."""

    days: tuple[Weekday, ...] = Field(description="Days of the week.", examples=[["tue", "thu"]], min_length=1)
    at: ClockTime = Field(description="Start, local time.", examples=["14:30"])
    minutes: Minutes = Field(description="Length in minutes.", examples=[120])

    @field_validator("days", mode="after")
    @classmethod
    def _different(cls, days: tuple[Weekday, ...]) -> tuple[Weekday, ...]:
        for index, day in enumerate(days):
            if day in days[:index]:
                raise refuse(f"{day} is given twice", "each day once", "[tue, thu]", index)
        return tuple(sorted(days, key=lambda day: day.number))


class Once(Model):
    """One class time on one day."""

    date: Day = Field(description="The day.", examples=["2026-09-15"])
    at: ClockTime = Field(description="Start, local time.", examples=["09:00"])
    minutes: Minutes = Field(description="Length in minutes.", examples=[240])


class Meeting(Model):
    """One scheduled class time, or a series: exactly one of weekly, once and ical."""

    weekly: Weekly | None = Field(None, description="Every week of the term.")
    once: Once | None = Field(None, description="One time.")
    ical: Url | None = Field(
        None, description="A calendar's address.", examples=["https://calendar.example.edu/atm101.ics"]
    )
    attend: Positive | None = Field(
        None, description="How many come at the same time; default roster.expected.", examples=[25]
    )
    ramp: Duration = Field(Duration(300), description="Within which time they arrive.")
    warm: Duration = Field(Duration(900), description="How long before the start everything is ready.")
    exam: Flag = Field(False, description="An exam: nothing is changed or moved in its window.")

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        given = [name for name in ("weekly", "once", "ical") if getattr(self, name) is not None]
        if len(given) != 1:
            wrong = f"{' and '.join(given)} are given" if given else "no time is given"
            raise refuse(wrong, "exactly one of weekly, once, ical", 'weekly: {days: [tue], at: "14:30", minutes: 120}')
        return self
