"""What Helm's words mean, said so that an admin can act on it. Values never appear in it, for among them are secrets."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from federation.model.errors import DriverError
from federation.runtime.command import Answered
from federation.runtime.sealing import SHOWN

LONGEST = 700
SHORTEST_HIDDEN = 4


class Trouble(StrEnum):
    """Why Helm could not do it, as far as its caller acts on it."""

    NO_PROGRAM = "no program"
    SLOW = "slow"
    KILLED = "killed"
    NOT_FOUND = "not found"
    STRANGER = "stranger"
    UNREACHABLE = "unreachable"
    QUOTA = "quota"
    FORBIDDEN = "forbidden"
    WEBHOOK = "webhook"
    NO_NAMESPACE = "no namespace"
    NO_CHART = "no chart"
    VALUES = "values"
    RENDERING = "rendering"
    FOREIGN = "foreign"
    CONFLICT = "conflict"
    HOOK = "hook"
    BUSY = "busy"
    INVALID = "invalid"
    OTHER = "other"


# In order: the first that is found in what Helm said.
WORDS: tuple[tuple[Trouble, str], ...] = (
    (Trouble.KILLED, r"context canceled"),
    (Trouble.VALUES, r"values don't meet the specifications of the schema"),
    (Trouble.RENDERING, r"execution error at|YAML parse error|parse error at|error calling|error converting YAML"),
    (Trouble.RENDERING, r"failed to render chart|template: .*: (executing|function)|nil pointer evaluating"),
    (Trouble.RENDERING, r"chart requires kubeVersion|missing in charts/ directory|error unmarshaling JSON"),
    (Trouble.STRANGER, r"must be logged in to the server|asked for the client to provide credentials|Unauthorized"),
    (Trouble.UNREACHABLE, r"etcdserver|connection refused|no such host|i/o timeout|no route to host|x509:|tls: "),
    (Trouble.UNREACHABLE, r"connection reset|network is unreachable|TLS handshake timeout|currently unable to handle"),
    (Trouble.UNREACHABLE, r"unexpected EOF|: EOF|http2: (client|server)|Client\.Timeout exceeded|cluster unreachable"),
    (Trouble.QUOTA, r"exceeded quota|failed quota|is forbidden: (minimum|maximum) |must be less than or equal to .* limit"),
    (Trouble.WEBHOOK, r"admission webhook|failed calling webhook|ValidatingAdmissionPolicy"),
    (Trouble.NO_NAMESPACE, r'namespaces "[^"]*" not found|because it is being terminated'),
    (Trouble.FORBIDDEN, r"is forbidden"),
    (Trouble.CONFLICT, r"conflict(s)? with \"|Apply failed with \d+ conflict|the object has been modified"),
    (Trouble.FOREIGN, r"invalid ownership metadata|cannot be imported into the current release|cannot be owned"),
    (Trouble.BUSY, r"another operation .* is in progress|a name that is still in use"),
    (Trouble.NOT_FOUND, r"release: not found"),
    (Trouble.HOOK, r"(pre|post)-(install|upgrade|rollback|delete)( hooks)?( failed)?: "),
    (Trouble.NO_CHART, r'path "[^"]*" not found|Chart\.yaml file is missing|chart metadata|not a valid chart'),
    (Trouble.INVALID, r"is invalid: |error validating|unable to build kubernetes objects|no matches for kind"),
    (Trouble.INVALID, r"field is immutable|Forbidden: updates to|strict decoding error|unable to decode"),
)  # fmt: skip

SENTENCES: dict[Trouble, str] = {
    Trouble.NO_PROGRAM: "there is no Helm to run ({said}): `make tools` builds one",
    Trouble.SLOW: "Helm did not end within {said} and was ended: does the cluster answer, do the chart's hooks end?",
    Trouble.KILLED: "Helm was killed ({said})",
    Trouble.NOT_FOUND: "there is no such release ({said})",
    Trouble.STRANGER: "the cluster does not know who this site is: look at its kubeconfig ({said})",
    Trouble.UNREACHABLE: "the cluster does not answer ({said})",
    Trouble.QUOTA: "a quota of the namespace refuses it: {said}",
    Trouble.FORBIDDEN: "the cluster does not let this site do it: {said}",
    Trouble.WEBHOOK: "an admission webhook or policy of the cluster refuses it: {said}",
    Trouble.NO_NAMESPACE: "the namespace is not there, or is going away: {said}",
    Trouble.NO_CHART: "there is no such chart: {said}",
    Trouble.VALUES: "the chart refuses its values: {said}",
    Trouble.RENDERING: "the chart does not render with these values: {said}",
    Trouble.FOREIGN: "something that the chart makes is there already and belongs to {owner}: {said}",
    Trouble.CONFLICT: "{owner} holds fields that the chart sets: {said}",
    Trouble.HOOK: "a hook of the chart did not succeed: {said}",
    Trouble.BUSY: "another Helm is at work on it: {said}",
    Trouble.INVALID: "the cluster refuses what the chart makes: {said}",
    Trouble.OTHER: "Helm failed: {said}",
}

# When to look again; None: repeating does not help. What somebody has to change in the cluster is looked at now and then.
AGAIN_S: dict[Trouble, float | None] = {
    **dict.fromkeys(Trouble, 60.0),
    **dict.fromkeys((Trouble.VALUES, Trouble.RENDERING, Trouble.NO_CHART, Trouble.INVALID)),
    **dict.fromkeys((Trouble.UNREACHABLE, Trouble.SLOW, Trouble.KILLED, Trouble.BUSY, Trouble.OTHER), 10.0),
}

OWNER = re.compile(r'key "meta\.helm\.sh/release-(name|namespace)" must equal "[^"]*": current value is "([^"]*)"')
MANAGER = re.compile(r'conflicts? with "([^"]+)"')
PREFIXES = re.compile(r"^(Error: )?((UPGRADE|INSTALLATION) FAILED: )?(1 error occurred: \* )?")
ADVICE = "Use --debug flag"
SECRET_PATH = re.compile(  # and people
    r"passw|passphrase|secret|token|cookie|credential|private|key|cert|salt|dsn|users|extra(env|config|files)",
    re.IGNORECASE,
)
WORD_PATH, WORD = re.compile(r"(kind|type|policy|modes)$", re.IGNORECASE), re.compile(r"[A-Za-z]+")
NAME = re.compile(r"[a-z0-9][a-z0-9./:_-]*")
RANDOM = re.compile(r"(?<![a-z0-9])(?=[a-z]*\d)[a-z0-9]{20,}|://")


# What the API server shows of an object that it refuses.
SHOWN_VALUE = re.compile(r'(?<=Invalid value: )("(?:[^"\\]|\\.)*"|(?:map)?[\[{].*[\]}])')


class HelmFailed(DriverError):
    """Helm could not do it."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message, delay_s=AGAIN_S[trouble])
        self.trouble = trouble


def failed(what: str, trouble: Trouble, said: str, owner: str = "") -> HelmFailed:
    """`what` was to be done."""
    return HelmFailed(trouble, f"{what}: {SENTENCES[trouble].format(said=said, owner=owner)}")


def failure(what: str, answer: Answered, given: bytes) -> HelmFailed:
    """Of a Helm that ended with an error; `given` are the values that it read."""
    if answer.code < 0:
        return failed(what, Trouble.KILLED, f"signal {-answer.code}")
    raw = answer.err.decode(errors="replace")
    said = _gist(without_values(raw, given)) or f"code {answer.code}, it said nothing"
    trouble = meaning(raw)
    return failed(what, trouble, said, _owner(trouble, raw))


def meaning(said: str) -> Trouble:
    """What it is that Helm says."""
    error = _error(said)
    return next((what for what, words in WORDS if re.search(words, error, re.IGNORECASE)), Trouble.OTHER)


def without_values(said: str, given: bytes) -> str:
    """Helm, templates and the API server quote what they do not like. Only what looks like a plain name and is not below a
    key that sounds of secrets is left."""
    hidden = {form for text in _hidden(json.loads(given or b"null"), "") for form in _forms(text)}
    for form in sorted(hidden, key=len, reverse=True):
        said = said.replace(form, SHOWN)
    return said


def without_shown(description: str) -> str:
    """What Helm wrote into a release that failed, whose values are not known any more."""
    return SHOWN_VALUE.sub(SHOWN, description)[:LONGEST]


def _hidden(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _hidden(inner, f"{path}/{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from _hidden(inner, path)
    elif isinstance(value, str) and not _is_plain(path, value):
        yield value
        yield from (line.strip() for line in value.splitlines())


def _is_plain(path: str, value: str) -> bool:
    if SECRET_PATH.search(path):
        return False
    if WORD_PATH.search(path) and WORD.fullmatch(value):
        return True
    return NAME.fullmatch(value) is not None and not RANDOM.search(value)


def _forms(text: str) -> Iterator[str]:
    """As it is, as JSON and Go quote it, and as Secrets hold it."""
    if len(text) >= SHORTEST_HIDDEN:
        yield text
        yield json.dumps(text)[1:-1]
        yield json.dumps(text, ensure_ascii=False)[1:-1]
        yield b64encode(text.encode()).decode()


def _error(said: str) -> str:
    """From its last error on; before it are warnings."""
    at = said.rfind("\nError: ")
    return said[at + 1 :] if at >= 0 else said


def _gist(said: str) -> str:
    """In one line: the paths that a schema refuses, or what Helm says last."""
    lines = [line.strip() for line in _error(said).splitlines() if line.strip() and not line.startswith(ADVICE)]
    refused = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    return PREFIXES.sub("", "; ".join(refused) or " ".join(lines))[:LONGEST]


def _owner(trouble: Trouble, said: str) -> str:
    if trouble is Trouble.FOREIGN:
        owner = dict(OWNER.findall(said))
        release = f"the release {owner['name']}" if "name" in owner else ""
        other = f"namespace {owner['namespace']}" if "namespace" in owner else ""
        return " of ".join(filter(None, (release, other))) or "no release"
    managers = sorted(set(MANAGER.findall(said)))
    return ", ".join(managers) or "somebody else"
