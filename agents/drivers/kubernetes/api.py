"""The API server of a site's cluster: objects as dictionaries, paths as in Kubernetes' reference.

Connections, TLS and signing in (tokens, certificates, programs that kubeconfig names) are those of the package
`kubernetes`. Objects stay as they came: this agent changes few fields of few kinds, and models of all kinds cost a
hundred times what reading a list does.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import kubernetes.aio.client as kube
from aiohttp.http_exceptions import HttpProcessingError
from kubernetes.aio.config import ConfigException, load_kube_config

from agents.drivers.kubernetes.refusals import ApiRefused, refused
from federation.model.errors import DriverError

Object = dict[str, Any]
MANAGER = "hubfed"  # our field manager: fields that somebody else has set are theirs, and a conflict names them
LIMIT_S = 10.0
PAGE = 500
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Listed:
    """All objects of a kind, as of a revision: the next to watch from."""

    items: list[Object]
    revision: int


@dataclass(slots=True)
class Api:
    """As the identity that `kubeconfig` names. Every call ends within LIMIT_S; errors are DriverErrors naming the site.
    Whatever is read was true when it was asked for, or later. `asked` counts requests by Kubernetes' verbs."""

    site: str
    kubeconfig: Path
    asked: Counter[str] = field(default_factory=Counter)
    _client: kube.ApiClient | None = None
    _connecting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def get(self, path: str, **query: str) -> Object | None:
        """One object; None if there is none."""
        self.asked["get"] += 1
        return await self._call("GET", path, query, missing=True)

    async def items(self, path: str, *, labels: str = "", fields: str = "") -> list[Object]:
        """All objects of a kind."""
        return (await self.listed(path, labels=labels, fields=fields)).items

    async def listed(self, path: str, *, labels: str = "", fields: str = "") -> Listed:
        """The same, page by page, with the one revision of all pages."""
        found: list[Object] = []
        query = {"limit": str(PAGE), **_selectors(labels, fields)}
        while True:
            self.asked["list"] += 1
            page = await self._call("GET", path, query) or {}
            found += page.get("items") or []
            meta = page.get("metadata") or {}
            more = meta.get("continue")
            if not more:
                return Listed(found, int(meta.get("resourceVersion") or 0))
            query["continue"] = more

    async def events(
        self, path: str, *, since: int, limit_s: float, labels: str = "", fields: str = ""
    ) -> AsyncGenerator[Object, None]:
        """What became of objects of a kind after the revision `since`, and bookmarks, until the server ends it, after
        `limit_s` at the latest. It may be silent for as long: whoever reads has a limit for that. ApiRefused, then or
        later, e.g. if what was since then is forgotten; ValueError if what comes is no JSON."""
        self.asked["watch"] += 1
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": str(since)}
        query |= {"timeoutSeconds": str(max(1, round(limit_s))), **_selectors(labels, fields)}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=LIMIT_S)
        async with self._opened(path, query, timeout) as content:
            async for line in content:
                event: Object = json.loads(line)
                if event.get("type") == "ERROR":
                    status = event["object"]
                    raise refused(self.site, "WATCH", path, int(status.get("code") or 0), json.dumps(status).encode())
                yield event

    async def apply(self, path: str, body: Object, *, force: bool = False) -> Object:
        """Server-side: our fields of it become these, those of others stay."""
        self.asked["apply"] += 1
        query = {"fieldManager": MANAGER, "force": "true" if force else "false"}
        return await self._call("PATCH", path, query, body, APPLY) or {}

    async def merge(self, path: str, patch: Object) -> Object | None:
        """These fields of it, whoever set them; None if there is no such object."""
        self.asked["patch"] += 1
        return await self._call("PATCH", path, {"fieldManager": MANAGER}, patch, MERGE, missing=True)

    async def create(self, path: str, body: Object) -> Object | None:
        """None if one of this name is there already."""
        self.asked["create"] += 1
        try:
            return await self._call("POST", path, {"fieldManager": MANAGER}, body)
        except ApiRefused as error:
            if error.reason == "AlreadyExists":
                return None
            raise

    async def delete(self, path: str, *, grace_s: float | None = None, seen: Object | None = None) -> bool:
        """Ask for its end, or that of all objects of a kind; False if there was none. With `seen`: only if it is still what
        it was then, else False as well. A pod gets a second at least: with none it is taken off the list at once, and
        nobody would know whether its node has ended it (I1)."""
        self.asked["delete"] += 1
        options: Object = {} if grace_s is None else {"gracePeriodSeconds": max(1, round(grace_s))}
        if seen is not None:
            options["preconditions"] = {name: seen["metadata"][name] for name in ("uid", "resourceVersion")}
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options} if options else None
        try:
            return await self._call("DELETE", path, {}, body, missing=True) is not None
        except ApiRefused as error:
            if seen is not None and error.reason == "Conflict":
                return False
            raise

    async def lines(self, path: str, *, container: str, tail: int, follow: bool) -> AsyncIterator[bytes]:
        """The log of a container, as it comes."""
        self.asked["log"] += 1
        query = {"container": container, "tailLines": str(tail), "follow": "true" if follow else "false"}
        timeout = aiohttp.ClientTimeout(total=None if follow else LIMIT_S, sock_connect=LIMIT_S)
        async with self._opened(path, query, timeout) as content:
            async for chunk in content.iter_any():
                yield chunk

    async def close(self) -> None:
        """Give the connections back."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    @asynccontextmanager
    async def _opened(
        self, path: str, query: Mapping[str, str], timeout: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.StreamReader]:
        """An answer that is read as it comes; whoever has read enough leaves."""
        try:
            answer = await self._ask("GET", path, query, None, "", timeout)
            try:
                if answer.status >= HTTPStatus.BAD_REQUEST:
                    raise refused(self.site, "GET", path, answer.status, await answer.read())
                yield answer.response.content
            finally:
                _hang_up(answer.response)
        except (aiohttp.ClientError, HttpProcessingError, TimeoutError, OSError) as error:
            raise self._silent(error) from error

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None = None,
        kind: str = "application/json",
        *,
        missing: bool = False,
    ) -> Object | None:
        try:
            answer = await self._ask(method, path, query, body, kind, aiohttp.ClientTimeout(total=LIMIT_S))
            content = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._silent(error) from error
        if answer.status == HTTPStatus.UNAUTHORIZED:
            await self.close()  # a token that was renewed meanwhile is read from the file by the next call
        if answer.status == HTTPStatus.NOT_FOUND and missing:
            return None
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise refused(self.site, method, path, answer.status, content)
        found: Object = json.loads(content)
        return found

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        body: Object | None,
        kind: str,
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        client = await self._connected()
        headers = {"Accept": "application/json", "Content-Type": kind or "application/json"}
        pairs = list(query.items())
        _, url, headers, content, _ = await client.param_serialize(
            method, path, query_params=pairs, header_params=headers, body=body, auth_settings=["BearerToken"]
        )
        return await client.call_api(method, url, headers, content, _request_timeout=timeout)

    async def _connected(self) -> kube.ApiClient:
        async with self._connecting:
            if self._client is None:
                settings = kube.Configuration()
                try:
                    await load_kube_config(str(self.kubeconfig), client_configuration=settings, persist_config=False)
                except (ConfigException, OSError, ValueError) as error:
                    wrong = f"site {self.site}: {self.kubeconfig} does not say how to reach the cluster: {error}"
                    raise DriverError(wrong, help="Look at spec.cluster.kubeconfig in the site file.") from error
                self._client = kube.ApiClient(settings)
            return self._client

    def _silent(self, error: Exception) -> DriverError:
        said = str(error) or type(error).__name__
        return DriverError(f"site {self.site}: the cluster's API server does not answer: {said}", delay_s=2.0)


def _selectors(labels: str, fields: str) -> dict[str, str]:
    found = {"labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in found.items() if value}


def _hang_up(response: aiohttp.ClientResponse) -> None:
    """Leave an answer that may go on for ever, at once: TLS would wait for a goodbye, and whoever closes does not."""
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.close()
