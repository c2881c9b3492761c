"""Calls a hook: a program, or HTTP POST with aiohttp. A port: tests on virtual time have their own.

Nothing here is logged or said that may be a secret: not the path of a web hook's URL, not the signature's key. Both are
read anew for each call, so that a file that is replaced counts at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from federation.core.hooks import Call
from federation.model.errors import FederationError
from federation.model.hooks import Hook
from federation.runtime.command import run_command
from federation.runtime.processes import KEPT

MOST_ANSWER_BYTES = 300
LONGEST_VARIABLE = 4000
HEADERS = {"Content-Type": "application/json", "User-Agent": "hubfed"}


class HookCaller(Protocol):
    """Whoever is told."""

    async def call(self, hook: Hook, call: Call) -> str:
        """Tell it once, within its `timeout_s`; returns the problem, empty if it took the call. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class SystemHookCaller:
    """Real programs and web hooks. Relative paths start at `folder`, that of the federation file."""

    folder: Path

    async def call(self, hook: Hook, call: Call) -> str:
        try:
            if hook.command is not None:
                return await self._run(hook.command, call, hook.timeout_s)
            async with asyncio.timeout(hook.timeout_s):
                return await self._post(hook, call)
        except TimeoutError:
            return f"no answer within {hook.timeout_s:g} s"
        except FederationError as error:
            return error.message
        except ValueError as error:  # e.g. a word that cannot be an argument
            return f"it cannot be called: {error}"
        except OSError as error:
            return f"cannot read {error.filename}: {error.strerror}" if error.filename else str(error)

    @staticmethod
    async def _run(command: tuple[str, ...], call: Call, limit_s: float) -> str:
        # it has its own deadline, and time after that to bury what it killed
        ended = await run_command(command, call.body, environment(call), limit_s=limit_s)
        if not ended.code:
            return ""
        how = f"ended with {ended.code}" if ended.code > 0 else f"was ended by signal {-ended.code}"
        said = " ".join(ended.output[:MOST_ANSWER_BYTES].split())
        return f"{command[0]} {how}" + (f": {said}" if said else "")

    async def _post(self, hook: Hook, call: Call) -> str:
        url = hook.url or self._read(hook.url_file).decode(errors="replace")
        headers = {**HEADERS, "X-Hubfed-Event": call.facts["event"], "X-Hubfed-Id": call.id}
        if hook.signature_key is not None:
            headers["X-Hubfed-Signature"] = signature(self._read(hook.signature_key), call.body)
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=hook.timeout_s)) as client,
                client.post(url, data=call.body, headers=headers, allow_redirects=False) as answer,
            ):
                said = await answer.content.read(MOST_ANSWER_BYTES)
        except (aiohttp.InvalidURL, ValueError):
            return f"{hook.calls} is no web address"
        except aiohttp.ClientConnectorError as error:
            return f"{hook.calls}: {error.os_error.strerror or type(error.os_error).__name__}"
        except aiohttp.ClientError as error:  # its text may hold the whole URL
            return f"{hook.calls}: {type(error).__name__}"
        if answer.status // 100 == 2:  # noqa: PLR2004 - taken
            return ""
        words = " ".join(said.decode(errors="replace").split())
        return f"{hook.calls} answered {answer.status}" + (f": {words}" if words else "")

    def _read(self, name: str | None) -> bytes:
        path = self.folder / (name or "")
        content = path.read_bytes().strip()
        if not content:
            raise OSError(0, "it is empty", str(path))
        return content


def signature(key: bytes, body: bytes) -> str:
    """What a receiver compares with its own: HMAC-SHA256 (RFC 2104) of the body as it came."""
    return f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"


def environment(call: Call, env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For a command: what programs need to run, and the event. Not our own marks: it is no part of the federation."""
    kept = {name: env[name] for name in KEPT if name in env}
    facts = {f"HUBFED_EVENT_{name.upper()}": value[:LONGEST_VARIABLE] for name, value in call.facts.items()}
    return {"PATH": os.defpath, **kept, **{name: value.replace("\0", "") for name, value in facts.items()}}
