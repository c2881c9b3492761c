"""Runs restic for the copies of one site: marked, under a deadline, secrets by environment, its words understood.

A site writes its own repositories alone; those of others are read without a lock. What an agent that was killed left
behind (its restic, that one's locks and logs) is cleared away before the first run for the same hub.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from agents.drivers.local.copy_store import Repository, store_environment
from agents.drivers.local.marks import COPY
from agents.drivers.local.settings import CopyStore, LocalSettings
from federation.model.errors import DeadlineExceeded, DriverError
from federation.runtime.clock import Clock
from federation.runtime.processes import Finished, Launch, Processes, inherited
from federation.runtime.restic_program import SAVED, SAVED_IN_PART, Restic, Trouble

QUIET = {"RESTIC_PROGRESS_FPS": "0.01"}  # no line of progress every 16 ms
LEAST_S = 0.1
GENTLE = ("nice", "-n", "10")  # classes come first

SENTENCES: dict[Trouble, str] = {
    Trouble.NO_REPOSITORY: "there is no repository of {hub} by {site} at {url}",
    Trouble.LOCKED: "the repository of {hub} by {site} is locked by somebody else",
    Trouble.WRONG_PASSWORD: "the password does not open the repository of {hub} by {site}",
    Trouble.HALF_MADE: "the repository of {hub} by {site} was never wholly made: the key that restic names has to be "
    "deleted from {url}/keys",
    Trouble.DAMAGED: "the repository of {hub} by {site} is damaged",
    Trouble.DENIED: "the store refuses the keys of this site for {url}",
    Trouble.FULL: "no space is left",
    Trouble.UNREACHABLE: "the store at {url} cannot be reached",
    Trouble.NO_SNAPSHOT: "this copy is not in the repository of {hub} by {site}",
    Trouble.OTHER: "restic failed on {url}",
}


class CopyFailed(DriverError):
    """restic could not do it."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message, delay_s=30.0)
        self.trouble = trouble


@dataclass(slots=True)
class ResticRuns:
    """All restics of one site. `find` is asked when the first one is needed."""

    settings: LocalSettings
    store: CopyStore
    processes: Processes
    clock: Clock
    find: Callable[[], Awaitable[Restic]]
    _settling: asyncio.Lock = field(default_factory=asyncio.Lock)
    _settled: set[str] = field(default_factory=set)
    _unlocked: set[str] = field(default_factory=set)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def own(self, hub: str) -> Repository:
        """The repository that this site writes."""
        return Repository.of(self.store, self.settings.site, hub)

    def of(self, site: str, hub: str) -> Repository:
        """The repository of any site, to read."""
        return Repository.of(self.store, site, hub)

    async def read(self, repository: Repository, words: tuple[str, ...], password: str, until_mono: float) -> str:
        """Run something that only reads; never locks."""
        done = await self._run(repository, ("--no-lock", *words), password, until_mono)
        return (await self._checked(repository, done)).output

    async def write(
        self, repository: Repository, words: tuple[str, ...], password: str, until_mono: float, cwd: Path | None = None
    ) -> Finished:
        """Run something that writes to this site's own repository, gently; locks that are stale are removed first, which
        leaves those of processes that live. What was saved in part is no failure."""
        if repository.site != self.settings.site:
            raise DriverError(f"{self.settings.site} never writes to {repository.url}", delay_s=None)
        if repository.hub not in self._unlocked:
            await self._checked(repository, await self._run(repository, ("unlock",), password, until_mono))
            self._unlocked.add(repository.hub)
        try:
            done = await self._run(repository, ("--cleanup-cache", *words), password, until_mono, cwd)
        except BaseException:
            self.relock(repository.hub)  # it was killed, and its lock stays
            raise
        return await self._checked(repository, done, SAVED_IN_PART)

    def relock(self, hub: str) -> None:
        """Look for stale locks again before the next write."""
        self._unlocked.discard(hub)

    async def make(self, repository: Repository, into: str, password: str, until_mono: float) -> None:
        """`restic init` at the address `into`."""
        await self._checked(repository, await self._run(repository, ("init",), password, until_mono, url=into))

    async def _run(
        self,
        repository: Repository,
        words: tuple[str, ...],
        password: str,
        until_mono: float,
        cwd: Path | None = None,
        url: str = "",
    ) -> Finished:
        restic = await self.find()
        await self._settle(repository.hub)
        cacert = ("--cacert", str(self.store.cacert)) if self.store.cacert is not None else ()
        cache = ("--cache-dir", str(self.settings.copies_dir / "cache"))
        gentle = GENTLE if cwd and shutil.which(GENTLE[0]) else ()  # a small image may have none
        argv = (*gentle, str(restic.path), "-r", url or repository.url, *cacert, *cache, *words)
        limit_s = max(until_mono - self.clock.mono(), LEAST_S)
        log = self._runs / f"{repository.hub}.{next(self._numbers)}.log"
        try:
            return await self.processes.run(
                Launch(argv, log, env=self._environment(repository, password), cwd=cwd), timeout_s=limit_s
            )
        except DeadlineExceeded as error:
            said = log.read_text(errors="replace")
            if restic.trouble(1, said) is Trouble.OTHER:
                raise DeadlineExceeded(f"restic did not end within {limit_s:.0f} s on {repository.url}") from error
            raise self._failed(restic, repository, Finished(1, said)) from error  # it would have tried for ever
        finally:
            log.unlink(missing_ok=True)

    async def _settle(self, hub: str) -> None:
        """Once per hub: end what an earlier agent left running."""
        async with self._settling:
            if hub in self._settled:
                return
            for folder in (self.settings.copies_dir, self._runs):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                folder.chmod(0o700)
            await self.processes.stop(self.settings.marks(ROLE=COPY, COPY=hub), grace_s=1.0)
            for left in self._runs.glob(f"{hub}.*"):
                left.unlink(missing_ok=True)
            self._settled.add(hub)

    @property
    def _runs(self) -> Path:
        return self.settings.copies_dir / "runs"

    def _environment(self, repository: Repository, password: str) -> dict[str, str]:
        marks = self.settings.marks(ROLE=COPY, COPY=repository.hub)  # not HUB: a copy is no part of the hub
        env = {**inherited(), **marks, **QUIET, **store_environment(self.store)}
        return {**env, "RESTIC_PASSWORD": password, "TMPDIR": str(self._runs)}

    async def _checked(self, repository: Repository, done: Finished, *also: int) -> Finished:
        if done.code not in (SAVED, *also):
            raise self._failed(await self.find(), repository, done)
        return done

    def _failed(self, restic: Restic, repository: Repository, done: Finished) -> CopyFailed:
        trouble = restic.trouble(done.code, done.output)
        sentence = SENTENCES[trouble].format(hub=repository.hub, site=repository.site, url=repository.url)
        return CopyFailed(trouble, f"{sentence} ({_gist(done)})")


def _gist(done: Finished) -> str:
    """The line of restic's that says most: the fatal one, else the last."""
    lines = [line.strip() for line in done.output.splitlines() if line.strip() and not line.startswith("{")]
    fatal = [line.removeprefix("Fatal: ") for line in lines if line.startswith("Fatal: ")]
    return (fatal or lines[-1:] or [f"code {done.code}, it said nothing"])[0][:300]
