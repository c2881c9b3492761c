"""A lease file on a node, made of what the agent answers (PROTOCOL.md H13): the fencer there reads it as the one on the
agent's own host reads the agent's.

No clock is compared: what is left counts from this node's own question, so that it ends here before it ends there. An agent
that does not answer changes nothing, and what was answered lapses by itself.
"""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from federation.core.lease_file import read_lease

LIMIT_S = 2.0
LARGEST = 8 << 20
SLACK_NS = 50_000_000
Answer = Mapping[str, Any]
Permits = dict[str, dict[str, Any]]


def permits_of(answer: Answer, sent_ns: int, without: str) -> Permits | None:
    """Hub -> its entry of a lease file in this node's time; None: the agent has no lease file, so nothing changes.
    `without` this hub. ValueError if it is no answer of an agent."""
    try:
        if answer["order"] is None:
            return None
        return {
            str(hub): {
                "epoch": [int(part) for part in said["epoch"]],
                "close_at": _at(said["close_in"], sent_ns),
                "stop_by": _at(said["stop_in"], sent_ns),
            }
            for hub, said in answer["hubs"].items()
            if hub != without
        }
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an answer of an agent: {error!r}") from error


def _at(left_ns: int | None, sent_ns: int) -> int | None:
    return None if left_ns is None else sent_ns + left_ns


@dataclass(frozen=True, slots=True)
class Desk:
    """Where the agent answers. `name` is what its certificate says, of an authority in the file `ca`."""

    url: str
    ca: Path
    name: str

    def ask(self) -> Answer:
        """OSError, HTTPException or ValueError if there is no answer within some seconds, or it is somebody else's."""
        at = urlsplit(self.url)
        connection = _Named(at.hostname or "", at.port or 443, self.ca, self.name)
        try:
            connection.request("GET", at.path)
            answer = connection.getresponse()
            content = answer.read(LARGEST)
            if answer.status != HTTPStatus.OK:
                raise ValueError(f"the agent answered {answer.status}")
            found: Answer = json.loads(content)
            return found
        finally:
            connection.close()


class _Named(http.client.HTTPSConnection):
    """Whose certificate has to say another name than the address. The authority is read anew each time: it is renewed."""

    def __init__(self, host: str, port: int, ca: Path, name: str) -> None:
        self._trusted = ssl.create_default_context(cafile=str(ca))
        super().__init__(host, port, timeout=LIMIT_S, context=self._trusted)
        self._shown = name

    def connect(self) -> None:
        http.client.HTTPConnection.connect(self)
        self.sock = self._trusted.wrap_socket(self.sock, server_hostname=self._shown)


@dataclass(slots=True)
class AskedLease:
    """`turn` asks once and hands on what changed to `write`. Blocking; for a thread of its own. The file's order is this
    node's: an agent on a new host, or with a new journal, begins low, and is no older for that.

    `without`: the canary. It is there to prove the fencer of the agent's host, and not this one."""

    ask: Callable[[], Answer]
    write: Callable[[bytes], None]
    now_ns: Callable[[], int]
    boot_id: str
    say: Callable[..., None]
    without: str = ""
    _mark: object = None
    _order: tuple[str, list[int]] = ("", [])
    _permits: Permits = field(default_factory=dict)
    _trouble: str = ""

    def turn(self) -> None:
        """Ask, and write what is permitted now. Whatever goes wrong changes nothing and is said once."""
        try:
            self._take(self.now_ns())
            trouble = ""
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError, RecursionError) as error:
            trouble = str(error) or type(error).__name__
        if trouble != self._trouble:
            self._trouble = trouble
            self.say("lease.unasked" if trouble else "lease.asked", why=trouble)

    def _take(self, sent_ns: int) -> None:
        answer = self.ask()
        permits = permits_of(answer, sent_ns, self.without)
        if permits is None:
            return
        boot, order, mark = str(answer["boot_id"]), [int(part) for part in answer["order"]], answer["mark"]
        if boot == self._order[0] and order < self._order[1]:
            return  # of an agent that another one has followed
        if mark == self._mark and not _later(permits, self._permits):
            return
        content = {"boot_id": self.boot_id, "incarnation": sent_ns, "seq": 0, "hubs": permits}
        encoded = json.dumps(content).encode()
        read_lease(encoded)
        self.write(encoded)
        self._mark, self._order, self._permits = mark, (boot, order), permits


def _later(now: Permits, before: Permits) -> bool:
    """Whether the same file of the agent ends later than was thought: no conversion is later than the truth, for it counts
    from a question, so the latest is the best. What an answer took on its way is all that they differ in."""
    ends = [(now[hub]["stop_by"], before[hub]["stop_by"]) for hub in now.keys() & before.keys()]
    return any(end is not None and was is not None and end > was + SLACK_NS for end, was in ends)
