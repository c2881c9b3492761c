"""Runs the short pods that work on homes: one at a time for a hub, watched to the end, and nothing left of it.

A pod that an earlier agent left has ended before another begins: two of them would write into the same claims, and into
the same repository. What it did is done again, for every call may be repeated.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from agents.drivers.kubernetes import paths
from agents.drivers.kubernetes.api import Api, Object
from agents.drivers.kubernetes.copying_pod import (
    CONTAINER,
    ENDS_S,
    CopyingPod,
    has_begun,
    how_it_ended,
    is_over,
    is_stuck,
    why_it_waits,
)
from agents.drivers.kubernetes.homes_order import HomesAnswer, HomesOrder
from agents.drivers.kubernetes.marks import COPIES
from agents.drivers.kubernetes.refusals import ApiRefused
from agents.drivers.local.copy_store import store_environment
from agents.drivers.local.settings import CopyStore
from federation.model.errors import DeadlineExceeded, DriverError, FederationError
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

BEGINS_S = 300.0  # so long volumes may take to come to the node, and an image to be pulled
STUCK_S = 20.0  # Kubernetes has tried, and may try again
GONE_S = 60.0
SILENT_S = 60.0
ACCOUNT_S = 15.0  # a new namespace gets its account a moment later, and no pod before
LOOK_S = 0.5
LINES = 50  # of the log; the answer is the last thing that it says


@dataclass(slots=True)
class CopyingPods:
    """Of one site. `image`: this program, Python and restic."""

    api: Api
    clock: Clock
    image: str

    async def run(
        self, order: HomesOrder, store: CopyStore, claims: Mapping[str, str], *, database: bool, node: str
    ) -> HomesAnswer:
        """Carry it out and return what was answered, which is no error; an error of the pod is raised here. `claims`: home
        -> claim; `node` empty: any."""
        name = f"homes-{order.call.value}-{secrets.token_hex(4)}"
        ends_after_s = round(order.limit_s + BEGINS_S)
        pod = CopyingPod(name, self.image, order, claims, database, node, ends_after_s)
        await self.clear_away(order.hub)
        async with self._made(pod, store):
            answer = await self._answer(pod)
        if answer.wrong is not None:
            raise answer.wrong.error
        return answer

    async def clear_away(self, hub: str) -> None:
        """End what an earlier agent left. DriverError if it does not end: a node that does not answer ends nothing."""
        for secret in await self.api.items(paths.secrets(hub), labels=COPIES):
            await self.api.delete(f"{paths.secrets(hub)}/{secret['metadata']['name']}")
        deadline_mono, asked = self.clock.mono() + GONE_S, set[str]()
        while left := await self.api.items(paths.pods(hub), labels=COPIES):
            for name in {pod["metadata"]["name"] for pod in left} - asked:
                await self.api.delete(f"{paths.pods(hub)}/{name}", grace_s=ENDS_S)
                asked.add(name)
            if self.clock.mono() > deadline_mono:
                where = ", ".join(str(pod["spec"].get("nodeName", "no node")) for pod in left)
                raise DriverError(f"{hub}: a pod that worked on its homes has not ended, on {where}", delay_s=30.0)
            await self.clock.sleep(LOOK_S)

    @asynccontextmanager
    async def _made(self, pod: CopyingPod, store: CopyStore) -> AsyncIterator[None]:
        """It is there, and gone afterwards."""
        hub, name = pod.order.hub, pod.name
        try:
            await self.api.create(paths.secrets(hub), pod.secret(_keys(store), _read(store.cacert)))
            await self._create(hub, pod.body())
            yield
        finally:
            for path in (f"{paths.secrets(hub)}/{name}", f"{paths.pods(hub)}/{name}"):
                with suppress(FederationError):  # the next one clears away what stays
                    await self.api.delete(path, grace_s=ENDS_S)

    async def _create(self, hub: str, body: Object) -> None:
        deadline_mono = self.clock.mono() + ACCOUNT_S
        while True:
            try:
                await self.api.create(paths.pods(hub), body)
            except ApiRefused as error:
                if "serviceaccount" not in error.message or self.clock.mono() > deadline_mono:
                    raise
                await self.clock.sleep(LOOK_S)
            else:
                return

    async def _answer(self, pod: CopyingPod) -> HomesAnswer:
        """What it said when it had ended."""
        hub, path = pod.order.hub, f"{paths.pods(pod.order.hub)}/{pod.name}"
        begin_mono = self.clock.mono()
        stuck_mono: float | None = None
        while True:
            found = await self._look(path)
            now_mono = self.clock.mono()
            if found is None:
                raise DriverError(f"{hub}: the pod that works on its homes was deleted while it worked", delay_s=10.0)
            if is_over(found):
                said = await self._log(path)
                answer = HomesAnswer.read(said)
                if answer is None:
                    raise how_it_ended(hub, found, said)
                log.info("homes.pod_ended", hub=hub, call=pod.order.call.value, seconds=round(now_mono - begin_mono, 1))
                return answer
            stuck_mono = (stuck_mono or now_mono) if is_stuck(found) else None
            late = now_mono - begin_mono > BEGINS_S or (stuck_mono is not None and now_mono - stuck_mono > STUCK_S)
            if late and not has_begun(found):
                why = why_it_waits(found) or "its volumes have not come to its node"
                raise DriverError(f"{hub}: the pod that is to work on its homes does not start: {why}", delay_s=60.0)
            if now_mono - begin_mono > BEGINS_S + pod.ends_after_s:
                raise DeadlineExceeded(f"{hub}: the pod that works on its homes did not end in time")
            await self.clock.sleep(LOOK_S)

    async def _look(self, path: str) -> Object | None:
        """An API server that does not answer for a moment is asked again: the pod works on meanwhile."""
        deadline_mono = self.clock.mono() + SILENT_S
        while True:
            try:
                return await self.api.get(path)
            except ApiRefused:
                raise
            except DriverError:
                if self.clock.mono() > deadline_mono:
                    raise
                await self.clock.sleep(LOOK_S)

    async def _log(self, path: str) -> str:
        """Empty if its program never ran."""
        said = bytearray()
        try:
            async for chunk in self.api.lines(f"{path}/log", container=CONTAINER, tail=LINES, follow=False):
                said += chunk
        except ApiRefused as error:
            log.info("homes.no_log", path=path, error=error.message)
        return said.decode(errors="replace")


def _keys(store: CopyStore) -> bytes | None:
    """The keys of the store, checked, as they are written in a file of them."""
    if store.credentials is None:
        return None
    return "".join(f"{name}={value}\n" for name, value in store_environment(store).items()).encode()


def _read(path: Path | None) -> bytes | None:
    try:
        return path.read_bytes() if path is not None else None
    except OSError as error:
        raise DriverError(f"{path} cannot be read: {error.strerror}") from error
