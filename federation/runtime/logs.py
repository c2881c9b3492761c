"""Logging of the daemons: structlog on standard error, JSON unless that is a terminal, secrets redacted.

Event names are short lower-case words with dots (`site.suspect`); data goes in keys, never in the text. Call
`set_up_logging` once, in the composition root; everything else uses `get_logger`.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from federation.runtime.clock import Clock
from federation.runtime.sealing import SHOWN, Secret

get_logger = structlog.get_logger

_SECRET_KEY = re.compile(
    r"passw(or)?d|passphrase|secret|token|cookie|authorization|credential|private[_-]?key|api[_-]?key|key[_-]?material",
    re.IGNORECASE,
)
_PEM_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)
_USER_INFO = re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
_BEARER = re.compile(r"\b(Bearer|token|Basic)\s+(?=\S*\d)[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
DEEPEST = 6
NOISY = ("asyncio", "aiohttp.access", "hpack")


def set_up_logging(clock: Clock, *, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send our own and all libraries' log lines to `stream` (standard error)."""
    out = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        _Stamp(clock),
        # as text at once: the pretty forms of both renderers print local variables, and with them secrets
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor
    if out.isatty():
        renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    else:
        renderer = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Replace what must not be in a log: values under secret-sounding keys, `Secret`s, private keys in texts."""
    return {key: _safe(key, value, DEEPEST) for key, value in event.items()}


def _safe(key: str, value: Any, depth: int) -> Any:
    if isinstance(value, Secret):
        return SHOWN
    if _SECRET_KEY.search(key) and not key.startswith("_") and value not in (None, "", True, False):
        return SHOWN
    if isinstance(value, str):
        return _scrub(value)
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if depth and isinstance(value, Mapping):
        return {inner: _safe(str(inner), part, depth - 1) for inner, part in value.items()}
    if depth and isinstance(value, list | tuple | set | frozenset):
        return [_safe("", part, depth - 1) for part in value]
    return value


def _scrub(text: str) -> str:
    if "PRIVATE KEY" in text:
        text = _PEM_KEY.sub(SHOWN, text)
    if "://" in text:
        text = _USER_INFO.sub(SHOWN, text)
    return _BEARER.sub(rf"\1 {SHOWN}", text)


class _Stamp:
    """Adds `at`, UTC, to the millisecond."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, _logger: object, _method: str, event: EventDict) -> EventDict:
        event["at"] = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return event
