"""Hooks: whom the federation tells that something happened by itself, and how far each of them was told.

A hook is a command or a web address in the federation file. What it is called for, and in which words, is decided by
`federation.core.hooks`; how far it has come is a document of the register, so that a new leader goes on there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, Field, model_validator

from federation.model.refusal import Problem, refuse_all
from federation.model.scalars import Number, Site, Text, Url
from federation.model.schema import Document, Model

MOST_HOOKS = 16  # each has a worker of its own: a dead one delays no other
LONGEST_CALL_S = 60


class HookEvent(StrEnum):
    """What a hook can be called for. Each begins and, some time later, ends."""

    TAKEOVER = "takeover"  # a class is moved because its site is silent
    FREEZE = "freeze"  # nothing is moved by itself: several sites are silent, or somebody has paused moves
    SITE = "site"  # a site is silent, whether its classes can be moved or not
    PROTECTION = "protection"  # a class is not armed: an outage of its site would close it
    COPIES = "copies"  # the newest copy of a class's homes is stale, or there is none
    ROOM = "room"  # a class is about to meet, and not all of its seats are there
    DRILL = "drill"  # a class is moved to its standby and back, to rehearse a takeover
    REGISTER = "register"  # the register is not the one that was known, or does not answer


class Turn(StrEnum):
    BEGUN = "begun"
    ENDED = "ended"


class Hook(Model):
    """One of `spec.hooks`. The leader calls it; for the register, each coordinator that sees the fault."""

    name: Site = Field(description="A short name, shown by `fedctl doctor`.", examples=["chat"])
    events: tuple[HookEvent, ...] = Field(
        tuple(HookEvent), description="What it is called for, when that begins and when it ends.", min_length=1
    )
    command: tuple[Text, ...] | None = Field(
        None,
        description="A program and its arguments, without a shell; the event is JSON on its standard input.",
        examples=[["/usr/local/bin/mail-federation", "ops@example.edu"]],
        min_length=1,
    )
    url: Url | None = Field(
        None, description="Where the event is sent with HTTP POST as JSON.", examples=["https://chat.example.edu/hook"]
    )
    url_file: Text | None = Field(
        None,
        description="A file with such a URL, for one that is a secret itself.",
        examples=["/etc/hubfed/chat.url"],
    )
    signature_key: Text | None = Field(
        None,
        description="A file with the key of the HMAC-SHA256 signature, in the header X-Hubfed-Signature.",
        examples=["/etc/hubfed/chat.key"],
    )
    timeout_s: Number = Field(
        10.0, description="A call that takes longer has failed; in seconds.", gt=0, le=LONGEST_CALL_S, examples=[10]
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        given = [name for name in ("command", "url", "url_file") if getattr(self, name) is not None]
        problems = []
        if len(given) != 1:
            said = f"it has {' and '.join(given)}" if given else "it has neither command nor url"
            problems.append(Problem(said, "one of command, url, url_file", "command: [/usr/local/bin/tell]"))
        if self.url is not None and not self.url.startswith(("http://", "https://")):
            problems.append(
                Problem(f"{self.url!r} is no web address", "http or https", "https://chat.example.edu/hook", ("url",))
            )
        if self.command is not None and not self.command[0].startswith("/"):
            wrong = f"{self.command[0]!r} depends on where the coordinator was started"
            problems.append(Problem(wrong, "an absolute path", "/usr/local/bin/tell", ("command", 0)))
        if self.signature_key is not None and self.command is not None:
            problems.append(
                Problem("a command gets no signature", "only with a url", "leave it out", ("signature_key",))
            )
        if problems:
            raise refuse_all(problems)
        return self

    @property
    def calls(self) -> str:
        """What it calls, without what may be a secret: the path of a web hook often is one."""
        if self.command is not None:
            return self.command[0]
        return "/".join(self.url.split("/")[:3]) if self.url is not None else f"the URL in {self.url_file}"


class HookCursor(Document):
    """Key `hook/<name>`: up to which event a hook was called, and how its calls went. It begins where the leader first
    sees the hook, never with history."""

    hook: str
    revision: int  # register revision of the newest event that is done with
    key: str = ""  # and its key, for several events of one revision
    event: str = ""  # id of the event of the newest call
    called: AwareDatetime | None = None
    error: str = ""  # why the newest call failed; empty: it did not
    failures: int = 0  # calls that failed since the last one that did not
    tries: int = 0  # calls for the event after `key`, all failed
    given_up: int = 0  # events that the hook was never told
    last_given_up: str = ""


class Raised(Model):
    """One alarm that was told, and since when it holds."""

    event: HookEvent
    since: AwareDatetime
    message: str


class Alarms(Document):
    """Key `alarm/<uid>` or `alarm/site-<name>`: what hooks were told about a hub or site and not yet told to be over."""

    about: str
    raised: tuple[Raised, ...] = ()
