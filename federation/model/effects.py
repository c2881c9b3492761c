"""What a change of a classroom does, and which fields do something today.

Every field is *live* (in effect within seconds, nobody notices), *next-server* (in effect for servers started from now
on) or *restart* (the hub process restarts; running servers live on). What a hub is started with may be worked out from
a live field: then the change counts as what it does. A field that no driver honours yet is accepted,
stored, and listed by `not_yet_in_effect`, so that nobody believes in a setting that does nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from federation.model.classroom import Classroom, ClassroomSpec
from federation.model.classroom_people import AuthType


class Effect(StrEnum):
    LIVE = "live"
    NEXT_SERVER = "next-server"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that differs, as a person reads it. An empty side means: not there."""

    path: str
    live: str
    wanted: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class FieldEffect:
    """What a change of the field does, and whether the field does anything at a local site now."""

    effect: Effect
    in_effect: bool


_LIVE = FieldEffect(Effect.LIVE, in_effect=True)
_NEXT = FieldEffect(Effect.NEXT_SERVER, in_effect=True)
_RESTART = FieldEffect(Effect.RESTART, in_effect=True)
_LIVE_LATER = FieldEffect(Effect.LIVE, in_effect=False)
_NEXT_LATER = FieldEffect(Effect.NEXT_SERVER, in_effect=False)
_RESTART_LATER = FieldEffect(Effect.RESTART, in_effect=False)

# The longest entry that a path begins with counts.
FIELD_EFFECTS: dict[str, FieldEffect] = {
    "metadata": _LIVE,
    "metadata.name": _RESTART,
    "spec.term": _LIVE_LATER,
    "spec.term.timezone": _LIVE,  # of the meetings
    "spec.contacts": _LIVE_LATER,
    "spec.roster": _LIVE,
    "spec.roster.admit": _RESTART,
    "spec.roster.sync": _RESTART_LATER,
    "spec.auth": _RESTART,
    "spec.auth.options": _RESTART_LATER,
    "spec.meetings": _LIVE,  # a change that restarts waits for their end
    "spec.meetings.attend": _LIVE,  # so are these in clusters, where nodes come and go; elsewhere machines are as they are
    "spec.meetings.ramp": _LIVE,
    "spec.meetings.exam": _LIVE_LATER,
    "spec.meetings.ical": _LIVE_LATER,
    "spec.image": _NEXT_LATER,
    "spec.content": _NEXT_LATER,
    "spec.post_start": _NEXT_LATER,
    "spec.resources": _NEXT_LATER,
    "spec.resources.memory": _NEXT,
    "spec.resources.cpu": _NEXT,
    "spec.storage": _NEXT_LATER,
    "spec.storage.type": _LIVE,  # none: files last as long as the hub stays at its site
    "spec.storage.protect.every": _LIVE,
    "spec.storage.protect.keep": _LIVE,  # how far back homes can be restored
    "spec.data": _NEXT_LATER,
    "spec.placement": _LIVE_LATER,
    "spec.placement.allow": _LIVE,
    "spec.placement.prefer": _LIVE,
    "spec.budget": _LIVE_LATER,
    "spec.dns.host": _RESTART,
    "spec.dns.aliases": _LIVE,
    "spec.dns.ttl": _LIVE,
    "spec.tls": _LIVE_LATER,
    "spec.limits.start_timeout": _RESTART,
    "spec.limits.active_servers": _RESTART,
    "spec.limits.concurrent_spawns": _RESTART,
    "spec.limits.cull_after": _RESTART_LATER,
    "spec.limits.max_age": _RESTART_LATER,
    "spec.slo": _LIVE_LATER,
    "spec.chart": _RESTART_LATER,
    "spec.overrides": _RESTART_LATER,
    "status": _LIVE,
}
_SETS = ("spec.roster.users", "spec.roster.admins")  # shown as names that come and go
_SHOWN_NAMES = 8


def effect_of(path: str) -> FieldEffect:
    """The effect of a field by its path in the file; KeyError for a path that is no field of a classroom."""
    plain = re.sub(r"\[\d+\]", "", path)
    while plain:
        if plain in FIELD_EFFECTS:
            return FIELD_EFFECTS[plain]
        plain = plain.rpartition(".")[0]
    raise KeyError(path)


def differences(live: Classroom, wanted: Classroom) -> tuple[Difference, ...]:
    """Every field that differs, in the order of the file, with what its change does to this class."""
    before, after = dict(_leaves(live)), dict(_leaves(wanted))
    paths = [*after, *(path for path in before if path not in after)]
    found = []
    for path in paths:
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        if path in _SETS:
            shown_old, shown_new = _come_and_go(old or (), new or ())
        else:
            shown_old, shown_new = _shown(old), _shown(new)
        restarts = path == "spec.roster.expected" and _moves_the_limit(live.spec, wanted.spec)
        effect = Effect.RESTART if restarts else effect_of(path).effect
        found.append(Difference(path, shown_old, shown_new, effect))
    return (*found, *_look_alike(live.spec, wanted.spec, found))


def _moves_the_limit(live: ClassroomSpec, wanted: ClassroomSpec) -> bool:
    """Whether another number of expected students lets another number of servers run, which the hub hears at its start."""
    follows = live.limits.active_servers is None or wanted.limits.active_servers is None
    return follows and live.active_server_limit != wanted.active_server_limit


def _look_alike(live: ClassroomSpec, wanted: ClassroomSpec, found: list[Difference]) -> Iterator[Difference]:
    """Sections that differ although no field shows it: in free-form values {a.b: 1} reads as {a: {b: 1}}, null as
    nothing. Drivers compare the values, so the change must be told."""
    for section in ClassroomSpec.model_fields:
        path = f"spec.{section}"
        told = any(change.path.startswith(path) for change in found)
        if not told and getattr(live, section) != getattr(wanted, section):
            yield Difference(path, "as it was", "written otherwise", effect_of(path).effect)


def not_yet_in_effect(classroom: Classroom) -> tuple[str, ...]:
    """Paths that the admin set to something else than the default and that do nothing at a local site yet."""
    untouched = _defaults_by_path()
    later = [
        _section(path)
        for path, value in _leaves(classroom)
        if not effect_of(path).in_effect and value not in (None, ()) and untouched.get(path) != value
    ]
    auth = classroom.spec.auth
    if auth.type is not AuthType.DUMMY:
        later.append("spec.auth.type")
    return tuple(sorted(set(later)))


def _section(path: str) -> str:
    """Short enough to be read: lists as a whole, and nothing below `spec.SECTION.FIELD`."""
    return ".".join(path.partition("[")[0].split(".")[:3])


@cache
def _defaults_by_path() -> dict[str, Any]:
    return dict(_leaves_of(_defaults(), "spec"))


def _defaults() -> dict[str, Any]:
    """What a specification holds where nothing is written; required fields are not in it."""
    fields = ClassroomSpec.model_fields.items()
    sections = {name: field.get_default() for name, field in fields if not field.is_required()}
    whole = ClassroomSpec.model_construct(**sections).model_dump(mode="json", by_alias=True)
    return {**whole, **_defaults_of_required()}


def _defaults_of_required() -> dict[str, Any]:
    """The defaults inside the sections that must be given, e.g. `roster.admit`."""
    found: dict[str, Any] = {}
    for name, field in ClassroomSpec.model_fields.items():
        section = field.annotation
        if field.is_required() and isinstance(section, type) and hasattr(section, "model_fields"):
            given = {key: inner.get_default() for key, inner in section.model_fields.items() if not inner.is_required()}
            found[name] = section.model_construct(**given).model_dump(mode="json", by_alias=True)
    return found


def _leaves(classroom: Classroom) -> Iterator[tuple[str, Any]]:
    yield "metadata.name", classroom.name
    for key, value in sorted(classroom.labels.items()):
        yield f"metadata.labels.{key}", value
    yield from _leaves_of(classroom.spec.model_dump(mode="json", by_alias=True), "spec")


def _leaves_of(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves_of(inner, f"{path}.{key}")
    elif isinstance(value, list) and any(isinstance(inner, dict) for inner in value):
        for index, inner in enumerate(value):
            yield from _leaves_of(inner, f"{path}[{index}]")
    elif isinstance(value, dict | list):
        yield path, tuple(value)
    else:
        yield path, value


def _shown(value: Any) -> str:
    if value is None or value == ():
        return ""
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _come_and_go(old: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, str]:
    gone, come = sorted(set(old) - set(new)), sorted(set(new) - set(old))
    return f"{len(old)}{_some('-', gone)}", f"{len(new)}{_some('+', come)}"


def _some(sign: str, names: list[str]) -> str:
    if not names:
        return ""
    rest = len(names) - _SHOWN_NAMES
    shown = [f"{sign}{name}" for name in names[:_SHOWN_NAMES]]
    return f" ({' '.join(shown)}{f' and {rest} more' if rest > 0 else ''})"
