"""Log lines: one JSON object each, with time and context, and never with a secret in them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from federation.runtime.clock import SystemClock
from federation.runtime.logs import get_logger, redact, set_up_logging
from federation.runtime.sealing import SHOWN, Secret

PLANTED = "hunter2"


class NoonClock(SystemClock):
    def now(self) -> datetime:
        return datetime(2026, 11, 24, 12, tzinfo=UTC)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    yield from _logging_to(stream)


def _logging_to(stream: io.StringIO) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    set_up_logging(NoonClock(), stream=stream)
    yield stream
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def failing(password: str) -> None:
    raise ValueError(f"{len(password)} characters")


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_says_what_when_and_in_which_context(out: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(rpc="Place", principal="user/ada"):
        get_logger("coordinator").info("place.admitted", hub="atm101-abc123", generation=2)
    assert lines(out) == [
        {
            "event": "place.admitted",
            "hub": "atm101-abc123",
            "generation": 2,
            "rpc": "Place",
            "principal": "user/ada",
            "logger": "coordinator",
            "level": "info",
            "at": "2026-11-24T12:00:00.000Z",
        }
    ]


def test_libraries_lines_have_the_same_form(out: io.StringIO) -> None:
    logging.getLogger("somelib").warning("lost %s", "peer", extra={"password": "hunter2"})
    (line,) = lines(out)
    assert (line["event"], line["logger"], line["level"]) == ("lost peer", "somelib", "warning")
    assert "hunter2" not in out.getvalue()


def test_less_important_lines_are_left_out(out: io.StringIO) -> None:
    get_logger("x").debug("rpc.refused")
    assert out.getvalue() == ""


def test_an_exception_is_one_line_without_local_variables(out: io.StringIO) -> None:
    try:
        failing(PLANTED)
    except ValueError:
        get_logger("x").exception("loop.failed")
    (line,) = lines(out)
    assert "ValueError: 7 characters" in line["exception"]
    assert "hunter2" not in out.getvalue()


def test_on_a_terminal_people_read_text_without_local_variables() -> None:
    stream = Terminal()
    for out in _logging_to(stream):
        try:
            failing(PLANTED)
        except ValueError:
            get_logger("x").exception("loop.failed", password=PLANTED)
        assert "loop.failed" in out.getvalue()
        assert "hunter2" not in out.getvalue()


@pytest.mark.parametrize(
    "fields",
    [
        {"password": "hunter2"},
        {"client_secret": "hunter2"},
        {"api_token": "hunter2"},
        {"Set-Cookie": "hunter2"},
        {"private_key": b"hunter2"},
        {"options": {"nested": [{"cookie_secret": "hunter2"}]}},
        {"value": Secret("hunter2")},
        {"values": (Secret("hunter2"),)},
        {"header": "Authorization: token abc1hunter2"},
        {"url": "http://admin:hunter2@hub/api"},
        {"pem": "-----BEGIN EC PRIVATE KEY-----\nhunter2\n-----END EC PRIVATE KEY-----"},
        {"cut": "-----BEGIN PRIVATE KEY-----\nhunter2"},
        {"raw": b"hunter2"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_secrets_are_redacted(fields: dict[str, Any]) -> None:
    assert "hunter2" not in json.dumps(redact(None, "info", {"event": "x", **fields}), default=repr)


def test_what_is_no_secret_stays() -> None:
    event = {"event": "x", "key": "hub/atm101", "site": "iu", "text": "the token required is missing", "token": ""}
    assert redact(None, "info", dict(event)) == event
    assert redact(None, "info", {"event": "x", "password": "p"})["password"] == SHOWN
