"""The API server for the fencer: few calls, blocking, of the standard library and YAML, so that the process stays small.

It signs in with what a kubeconfig has in files or in itself: a certificate, a token. Programs and services that would have
to be asked for a token are refused: whoever ends hubs must not depend on more than the API server.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
        """A new connection; nothing is sent yet. OSError or ValueError if a file cannot be used."""
        inside = self.cluster.get("certificate-authority-data")
        beside = self._path(self.cluster, "certificate-authority")
        context = ssl.create_default_context(
            cafile=beside, cadata=base64.b64decode(inside).decode() if inside else None
        )
        with self._file("client-certificate") as cert, self._file("client-key") as key:
            if cert:
                context.load_cert_chain(cert, key)
        return http.client.HTTPSConnection(self.host, self.port, timeout=LIMIT_S, context=context)

    def headers(self) -> dict[str, str]:
        """Who asks, if a certificate does not say so."""
        token, path = self.user.get("token"), self.user.get("tokenFile")
        if path:
            token = (self.folder / path).read_text().strip()
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _path(self, part: Mapping[str, Any], name: str) -> str | None:
        path = part.get(name)
        return str(self.folder / path) if path else None

    @contextmanager
    def _file(self, name: str) -> Iterator[str | None]:
        """Its path. What is in the kubeconfig itself is in a file of the memory alone, as long as it is read."""
        inside = self.user.get(f"{name}-data")
        if not inside:
            yield self._path(self.user, name)
            return
        handle = os.memfd_create(name, os.MFD_CLOEXEC)
        try:
            os.write(handle, base64.b64decode(inside))
            yield f"/proc/self/fd/{handle}"
        finally:
            os.close(handle)


@dataclass(slots=True)
class BlockingApi:
    """As whom the kubeconfig names, which is read again when the server refuses who we were. Every wait ends within
    LIMIT_S. All errors are DriverErrors. Threads have a connection each."""

    kubeconfig: Path
    access: Access = field(init=False)
    _own: threading.local = field(default_factory=threading.local)

    def __post_init__(self) -> None:
        self.access = Access.read(self.kubeconfig)

    def names(self, path: str, **query: str) -> list[Object]:
        """The metadata of all objects of a kind; none if the namespace is not there."""
        found: list[Object] = []
        asked = {"limit": str(PAGE), **query}
        while True:
            page = self._list(path, asked, NAMES)
            found += [one["metadata"] for one in page["items"] or []]
            more = page.get("metadata", {}).get("continue")
            if not more:
                return found
            asked["continue"] = more

    def items(self, path: str) -> list[Object]:
        """All objects of a kind that has few."""
        return list(self._list(path, {}, JSON)["items"] or [])

    def merge(self, path: str, patch: Mapping[str, Any]) -> None:
        """These fields of it, whoever set them. It may be gone, or another one by now if the patch says which is meant."""
        self._call("PATCH", path, {}, patch, kind=MERGE, gone=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))

    def delete(self, path: str, *, uid: str, grace_s: int) -> None:
        """Ask for the end of this very pod. It may be gone. Never with no grace: it would be taken off the list at once,
        and nobody would know whether its node has ended it (I1)."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": max(1, grace_s)}
        options["preconditions"] = {"uid": uid}
        self._call("DELETE", path, {}, options, gone=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))

    def _list(self, path: str, query: Mapping[str, str], accept: str) -> Object:
        """A list is there even where nothing is in it: whoever says anything else is not the cluster, or not now."""
        page = self._call("GET", path, query, accept=accept)
        if page is None or not str(page.get("kind", "")).endswith("List") or "items" not in page:
            raise DriverError(f"what answers at {path} is not the cluster's API server", delay_s=1.0)
        return page

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        *,
        kind: str = JSON,
        accept: str = JSON,
        gone: tuple[HTTPStatus, ...] = (),
    ) -> Object | None:
        """None with an answer that says it is `gone`. A connection that was closed meanwhile is made anew once."""
        target = f"{self.access.prefix}{quote(path)}" + (f"?{urlencode(query)}" if query else "")
        content = json.dumps(body).encode() if body is not None else None
        headers = {"Content-Type": kind, "Accept": accept}
        fresh = getattr(self._own, "connection", None) is None
        try:
            try:
                status, said = self._send(method, target, content, headers)
            except (http.client.HTTPException, ConnectionError):
                if fresh:
                    raise
                status, said = self._send(method, target, content, headers)
            if status in gone:
                return None
            if status >= HTTPStatus.BAD_REQUEST:
                raise DriverError(f"the API server refused to {method} {path}: {status} {_said(said)}", delay_s=1.0)
            found: Object = json.loads(said)
        except (http.client.HTTPException, OSError, ValueError, RecursionError) as error:
            wrong = f"the API server does not answer: {str(error) or type(error).__name__}"
            raise DriverError(wrong, delay_s=1.0) from error
        return found if isinstance(found, dict) else None

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
            self._drop()
        if answer.status == HTTPStatus.UNAUTHORIZED:
            with suppress(InvalidRequest):  # half written: the next call reads it
                self.access = Access.read(self.kubeconfig)
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


def _said(content: bytes) -> str:
    try:
        return str(json.loads(content).get("message", ""))[:300]
    except (ValueError, AttributeError):
        return content[:100].decode(errors="replace")


FILES = "Give the fencer a kubeconfig of its own, with a certificate or a token in a file, and the rights it needs."
