"""The API server for the fencer: few calls, blocking, of the standard library and YAML, so that the process stays small.

It signs in with what a kubeconfig has in files or in itself: a certificate, a token. Programs and services that would have
to be asked for a token are refused: whoever ends hubs must not depend on more than the API server.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import yaml

from federation.model.errors import DriverError, InvalidRequest

Object = dict[str, Any]
LIMIT_S = 3.0
PAGE = 200  # names alone are some hundred bytes each
NAMES = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Lists without what objects say: for some thousand pods the rest would be tens of megabytes."""
JSON, MERGE = "application/json", "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Access:
    """How the server is reached. Files are read anew for each connection: certificates and tokens are renewed in place."""

    host: str
    port: int
    prefix: str
    folder: Path
    cluster: Mapping[str, Any] = field(repr=False)
    user: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, kubeconfig: Path) -> Access:
        """Of the current context. InvalidRequest says what is missing or cannot be used here."""
        try:
            body = yaml.safe_load(kubeconfig.read_bytes())
            context = _named(body, "contexts", body["current-context"])["context"]
            cluster = _named(body, "clusters", context["cluster"])["cluster"]
            user = _named(body, "users", context["user"]).get("user") or {}
            url = urlsplit(cluster["server"])
            port = url.port or 443
        except (OSError, yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
            wrong = f"{kubeconfig} does not say how to reach a cluster: {type(error).__name__}: {error}"
            raise InvalidRequest(wrong) from None
        if url.scheme != "https" or not url.hostname:
            raise InvalidRequest(f"{kubeconfig}: the server is not at an https:// address")
        for asked in ("exec", "auth-provider", "username"):
            if asked in user:
                raise InvalidRequest(f"{kubeconfig} signs in with {asked}, which the fencer cannot use", help=FILES)
        return cls(url.hostname, port, url.path.rstrip("/"), kubeconfig.parent, cluster, user)

    def connect(self) -> http.client.HTTPSConnection:
        """A new connection; nothing is sent yet. OSError or ssl.SSLError if a file cannot be used."""
        with self._file(self.cluster, "certificate-authority") as authority:
            context = ssl.create_default_context(cafile=authority)
        with self._file(self.user, "client-certificate") as cert, self._file(self.user, "client-key") as key:
            if cert:
                context.load_cert_chain(cert, key)
        return http.client.HTTPSConnection(self.host, self.port, timeout=LIMIT_S, context=context)

    def headers(self) -> dict[str, str]:
        """Who asks, if a certificate does not say so."""
        token, path = self.user.get("token"), self.user.get("tokenFile")
        if path:
            token = (self.folder / path).read_text().strip()
        return {"Authorization": f"Bearer {token}"} if token else {}

    @contextmanager
    def _file(self, part: Mapping[str, Any], name: str) -> Iterator[str | None]:
        """Its path; what is in the kubeconfig itself is in a file only as long as it is read."""
        if inside := part.get(f"{name}-data"):
            with tempfile.NamedTemporaryFile() as made:
                made.write(base64.b64decode(inside))
                made.flush()
                yield made.name
        else:
            path = part.get(name)
            yield str(self.folder / path) if path else None


@dataclass(slots=True)
class BlockingApi:
    """Each call ends within LIMIT_S, or a multiple of it for lists of many pages. DriverErrors say what went wrong. Threads
    have a connection each."""

    access: Access
    _own: threading.local = field(default_factory=threading.local)

    def names(self, path: str, **query: str) -> list[Object]:
        """The metadata of all objects of a kind; none if the namespace is not there."""
        found: list[Object] = []
        asked = {"limit": str(PAGE), **query}
        while True:
            page = self._call("GET", path, asked, accept=NAMES) or {}
            found += [one["metadata"] for one in page.get("items") or []]
            more = page.get("metadata", {}).get("continue")
            if not more:
                return found
            asked["continue"] = more

    def items(self, path: str) -> list[Object]:
        """All objects of a kind that has few."""
        return list((self._call("GET", path, {}) or {}).get("items") or [])

    def merge(self, path: str, patch: Mapping[str, Any]) -> None:
        """These fields of it, whoever set them. It may be gone."""
        self._call("PATCH", path, {}, json.dumps(patch).encode(), kind=MERGE)

    def delete(self, path: str, *, grace_s: int) -> None:
        """Ask for the end of a pod. It may be gone. Never with no grace: it would be taken off the list at once, and nobody
        would know whether its node has ended it (I1)."""
        self._call("DELETE", path, {"gracePeriodSeconds": str(max(1, grace_s))})

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: bytes | None = None,
        *,
        kind: str = JSON,
        accept: str = JSON,
    ) -> Object | None:
        """None if there is no such object. A connection that was closed meanwhile is made anew once."""
        target = f"{self.access.prefix}{quote(path)}" + (f"?{urlencode(query)}" if query else "")
        fresh = getattr(self._own, "connection", None) is None
        try:
            status, content = self._send(method, target, body, {"Content-Type": kind, "Accept": accept})
        except (http.client.HTTPException, ConnectionError) as error:
            if fresh:
                raise _silent(error) from error
            try:
                status, content = self._send(method, target, body, {"Content-Type": kind, "Accept": accept})
            except (http.client.HTTPException, OSError) as again:
                raise _silent(again) from again
        except OSError as error:
            raise _silent(error) from error
        if status == HTTPStatus.NOT_FOUND:
            return None
        if status >= HTTPStatus.BAD_REQUEST:
            raise DriverError(f"the API server refused to {method} {path}: {status} {_said(content)}", delay_s=1.0)
        found: Object = json.loads(content)
        return found

    def _send(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes]:
        connection = getattr(self._own, "connection", None)
        try:
            if connection is None:
                connection = self._own.connection = self.access.connect()
            connection.request(method, target, body, {**headers, **self.access.headers()})
            answer = connection.getresponse()
            content = answer.read()
        except BaseException:
            self._drop()
            raise
        if answer.will_close or answer.status == HTTPStatus.UNAUTHORIZED:
            self._drop()  # with credentials that may have been renewed meanwhile
        return answer.status, content

    def _drop(self) -> None:
        connection, self._own.connection = getattr(self._own, "connection", None), None
        if connection is not None:
            connection.close()


def _named(body: Any, kind: str, name: str) -> Any:
    found = [one for one in body[kind] if one["name"] == name]
    if not found:
        raise KeyError(f"{kind}: {name}")
    return found[0]


def _silent(error: Exception) -> DriverError:
    return DriverError(f"the API server does not answer: {str(error) or type(error).__name__}", delay_s=1.0)


def _said(content: bytes) -> str:
    try:
        return str(json.loads(content).get("message", ""))[:300]
    except (ValueError, AttributeError):
        return content[:100].decode(errors="replace")


FILES = "Give the fencer a kubeconfig of its own, with a certificate or a token in a file, and the rights it needs."
