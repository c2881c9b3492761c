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
Answer = Mapping[str, Any]


def lease_of(answer: Answer, sent_ns: int, boot_id: str) -> bytes | None:
    """The answer as a lease file of this node's time; None: the agent has no lease file, so nothing changes. ValueError if
    it is no answer of an agent."""
    try:
        if answer["order"] is None:
            return None
        incarnation, seq = answer["order"]
        hubs = {
            hub: {
                "epoch": said["epoch"],
                "close_at": _at(said["close_in"], sent_ns),
                "stop_by": _at(said["stop_in"], sent_ns),
            }
            for hub, said in answer["hubs"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"not an answer of an agent: {error!r}") from error
    content = json.dumps({"boot_id": boot_id, "incarnation": incarnation, "seq": seq, "hubs": hubs}).encode()
    read_lease(content)
    return content


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
    """`turn` asks once and hands on what changed to `write`. Blocking; for a thread of its own."""

    ask: Callable[[], Answer]
    write: Callable[[bytes], None]
    now_ns: Callable[[], int]
    boot_id: str
    say: Callable[..., None]
    _known: object = None
    _trouble: str = field(default="")

    def turn(self) -> None:
        """Ask, and write what is permitted now. Whatever goes wrong changes nothing and is said once."""
        sent_ns = self.now_ns()
        try:
            answer = self.ask()
            content = lease_of(answer, sent_ns, self.boot_id)
            known = _known(answer)
            if content is not None and known != self._known:
                self.write(content)
                self._known = known
            trouble = ""
        except (OSError, http.client.HTTPException, ValueError) as error:
            trouble = str(error) or type(error).__name__
        if trouble != self._trouble:
            self._trouble = trouble
            self.say("lease.unasked" if trouble else "lease.asked", why=trouble)


def _known(answer: Answer) -> object:
    """What tells one content of the agent's file from another: a later question of the same file has the same end, so the
    first one, which counted earlier, stays."""
    hubs = {hub: (said["epoch"], said["close_in"] is None) for hub, said in answer["hubs"].items()}
    return answer["boot_id"], answer["order"], hubs
