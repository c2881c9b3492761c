"""Fetches archives of upstream charts. Under its own name a file appears when its digest was seen to be right, not before.

What a pull that was cut off or killed has left is gone on with: whatever comes of it, the digest decides. Without a pinned
digest nothing decides, so there everything is fetched anew, and whoever asks is told what it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import yaml

from federation.model.errors import NotFound, Refused, Unavailable
from federation.model.upstream_charts import PinnedChart
from federation.runtime.chart_archives import CHUNK_BYTES, State, chart_inside, digest_of, look

INDEX = "index.yaml"
MOST_INDEX_BYTES, MOST_ARCHIVE_BYTES = 64 << 20, 64 << 20
CONNECT_S, SILENCE_S = 10.0, 30.0
ATTEMPTS = 3  # that bring nothing new
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # an index has megabytes
Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Pulled:
    """What is in the folder now. `fetched` False: it was there already."""

    path: Path
    digest: str
    fetched: bool


@dataclass(slots=True)
class ChartPull:
    """Into one folder, one after the other. `mirror` of a chart: asked instead of its own repository, and nobody else then.
    `trust_first`: also charts without a pinned digest. Errors: NotFound, Refused, Unavailable; OSError of the disk."""

    folder: Path
    session: aiohttp.ClientSession
    trust_first: bool = False

    async def pull(self, chart: PinnedChart, mirror: str = "", told: Told = lambda _done, _all: None) -> Pulled:
        """Have it in the folder. `told`: bytes so far, and of how many (0: not known)."""
        if chart.digest is None and not self.trust_first:
            wrong = f"{chart.name} {chart.version}: no digest is pinned, so nobody could tell what comes"
            raise Refused(wrong, help="--digest NAME=sha256:... says it; --trust-first takes what comes and shows it.")
        there = look(self.folder, chart)
        if there.state in (State.OK, State.SEVERAL, State.UNPINNED):
            return Pulled(self.folder / chart.archive, there.digest, fetched=False)
        self.folder.mkdir(parents=True, exist_ok=True)
        url = await self._archive_url(chart, mirror)
        part = self.folder / f".{chart.archive}.{(chart.digest or 'unpinned')[7:19]}.part"
        if chart.digest is None:
            part.unlink(missing_ok=True)
        resumed = part.exists()
        while True:
            await self._fetch(url, part, told)
            found = digest_of(part)
            if chart.digest in (None, found):
                break
            part.unlink()
            if not resumed:
                wrong = f"{url} is not the pinned {chart.name} {chart.version}: it is {found}, pinned is {chart.digest}"
                raise Refused(wrong, help="Nothing was kept. Ask who publishes it, or who runs the mirror.")
            resumed = False  # perhaps it is what was left that is wrong: once more, from the beginning
        if chart.digest is None:
            _check_inside(part, chart, url)
        target = self.folder / chart.archive
        part.replace(target)
        return Pulled(target, found, fetched=True)

    async def _archive_url(self, chart: PinnedChart, mirror: str) -> str:
        repository = f"{(mirror or chart.repository).rstrip('/')}/"
        content = await self._index(urljoin(repository, INDEX))
        try:
            rows = yaml.load(content, LOADER)["entries"].get(chart.name) or []  # noqa: S506 - one of the safe ones
            urls = next((row["urls"] for row in rows if str(row["version"]) == chart.version), None)
            named = str(urls[0]) if urls else ""
        except (yaml.YAMLError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as error:
            raise Unavailable(f"{repository}{INDEX} is no index of charts: {type(error).__name__}") from error
        if not named:
            raise NotFound(f"{repository} has no {chart.name} {chart.version}", help=ELSEWHERE)
        url = urljoin(repository, named)
        if mirror and urlsplit(url).netloc != urlsplit(repository).netloc:
            url = urljoin(repository, named.rpartition("/")[2])  # an index that was copied as it is
        return url

    async def _index(self, url: str) -> bytes:
        try:
            async with self.session.get(url) as answer:
                _check(answer, url)
                content = bytearray()
                async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                    content += chunk
                    if len(content) > MOST_INDEX_BYTES:
                        raise Unavailable(f"{url} has more than {MOST_INDEX_BYTES} bytes")
                return bytes(content)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _silent(url, error) from error

    async def _fetch(self, url: str, part: Path, told: Told) -> None:
        """All of it into `part`, from where that ends on."""
        left = ATTEMPTS
        while True:
            had = _size(part)
            try:
                await self._go_on(url, part, had, told)
                return  # noqa: TRY300 - an else would stand below the handlers
            except (aiohttp.ClientError, TimeoutError) as error:
                left = left - 1 if _size(part) <= had else ATTEMPTS
                if left <= 0:
                    raise _silent(url, error) from error

    async def _go_on(self, url: str, part: Path, had: int, told: Told) -> None:
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={had}-"} if had else {})
        async with self.session.get(url, headers=headers) as answer:
            if had and answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # it is all there, or it is wrong: the digest says which
            _check(answer, url)
            rest = answer.status == HTTPStatus.PARTIAL_CONTENT
            if rest and not answer.headers.get("Content-Range", "").startswith(f"bytes {had}-"):
                raise Unavailable(f"{url} was asked for the rest from byte {had} on, and sends something else")
            begin = had if rest else 0
            whole = begin + int(answer.headers.get("Content-Length") or 0)
            with part.open("ab" if rest else "wb") as file:
                async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
                    file.write(chunk)
                    file.flush()  # what came is kept, however this ends
                    if file.tell() > MOST_ARCHIVE_BYTES:
                        raise Unavailable(f"{url} has more than {MOST_ARCHIVE_BYTES} bytes: that is no chart")
                    told(file.tell(), whole if whole > begin else 0)
                os.fsync(file.fileno())


def open_session(silence_s: float = SILENCE_S) -> aiohttp.ClientSession:
    """For pulls: proxies and netrc as the environment has them. Whoever says nothing for `silence_s` is given up."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_S, silence_s), sock_read=silence_s)
    return aiohttp.ClientSession(timeout=timeout, trust_env=True, auto_decompress=False)


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _check(answer: aiohttp.ClientResponse, url: str) -> None:
    if url.startswith("https:") and any(step.url.scheme != "https" for step in (*answer.history, answer)):
        raise Refused(f"{url} leads to {answer.url}, which is not encrypted", help="Name a repository that is.")
    if answer.status == HTTPStatus.NOT_FOUND:
        raise NotFound(f"{answer.url} is not there (404)", help=ELSEWHERE)
    if answer.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
        raise Unavailable(f"{answer.url} answered {answer.status} {answer.reason or ''}".rstrip(), help=AGAIN)


def _check_inside(part: Path, chart: PinnedChart, url: str) -> None:
    """Of an archive for which no digest speaks: at least it is that chart."""
    name, version = chart_inside(part)
    if (name, version) != (chart.name, chart.version):
        part.unlink()
        said = f"it says {name} {version}" if name else "it is no chart"
        raise Refused(f"{url} is not {chart.name} {chart.version}: {said}", help="Nothing was kept.")


def _silent(url: str, error: Exception) -> Unavailable:
    said = str(error) or type(error).__name__
    return Unavailable(f"{url} did not come: {said}", help=AGAIN)


ELSEWHERE = "Look at the version, or name another repository: --mirror [NAME=]URL."
AGAIN = "Run it again: it goes on where this ended."
