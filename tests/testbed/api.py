"""A small client of the API server for tests: objects as dictionaries, paths as in Kubernetes' reference."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

Object = dict[str, Any]
TIMEOUT_S = 20.0
MANAGER = "testbed"


class Refused(Exception):
    """The server's answer was not a success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


@dataclass(frozen=True, slots=True)
class Api:
    """As one user. `inside` is where the server can be reached from."""

    url: str
    token: str
    ca: Path
    inside: Callable[[], AbstractContextManager[None]] = nullcontext

    def get(self, path: str, **query: str) -> Object:
        return self.call("GET", path, None, **query)

    def items(self, path: str, **query: str) -> list[Object]:
        found: list[Object] = self.get(path, **query)["items"]
        return found

    def create(self, path: str, body: Object) -> Object:
        return self.call("POST", path, body)

    def delete(self, path: str, **query: str) -> Object:
        return self.call("DELETE", path, None, **query)

    def apply(self, path: str, body: Object) -> Object:
        """Server-side, as the testbed's field manager."""
        kind = "application/apply-patch+yaml"
        return self.call("PATCH", path, body, kind, fieldManager=MANAGER)

    def text(self, path: str, **query: str) -> str:
        """What is not JSON: logs."""
        with self._asked("GET", path, None, "", query) as answer:
            return answer.read().decode()

    def call(
        self, method: str, path: str, body: Object | None = None, kind: str = "application/json", **query: str
    ) -> Object:
        """Raises Refused."""
        with self._asked(method, path, body, kind, query) as answer:
            found: Object = json.load(answer)
            return found

    def answers(self) -> bool:
        """Whether it is ready, with all that it starts by itself."""
        with suppress(OSError, http.client.HTTPException, Refused):
            return self.text("/readyz") == "ok"
        return False

    @contextmanager
    def _asked(
        self, method: str, path: str, body: Object | None, kind: str, query: dict[str, str]
    ) -> Iterator[http.client.HTTPResponse]:
        where = urlsplit(self.url)
        trust = ssl.create_default_context(cafile=str(self.ca))
        connection = http.client.HTTPSConnection(where.hostname or "", where.port, timeout=TIMEOUT_S, context=trust)
        headers = {"Authorization": f"Bearer {self.token}"} | ({"Content-Type": kind} if body is not None else {})
        content = json.dumps(body).encode() if body is not None else None
        try:
            with self.inside():
                connection.connect()
            connection.request(method, path + (f"?{urlencode(query)}" if query else ""), content, headers)
            answer = connection.getresponse()
            if answer.status >= http.client.BAD_REQUEST:
                raise Refused(answer.status, answer.read().decode(errors="replace"))
            yield answer
        finally:
            connection.close()
