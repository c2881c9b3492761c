"""One watch on etcd: whole revisions, none left out, and silence means that something is wrong.

What etcd's stream does not promise by itself (docs/adr/0002): the header of an answer may name a revision whose events
are still to come, a requested progress notice may overtake events, and a watch that starts at the very revision of a
compaction may miss a deletion. So only events that arrived move `Batch.revision`, and a watch starts one revision early.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from aetcd import rpc

from federation.model.errors import Unavailable
from federation.store.etcd_channel import REQUIRE_LEADER, EtcdMember, EtcdMembers, translate
from federation.store.etcd_messages import EtcdMessages
from federation.store.interface import Batch, Change, Compacted

ASKED_PER_LIMIT = 3  # progress is asked for so often within the silence limit, while nothing comes by itself


class EtcdWatch:
    """A watch of `prefix` from `from_revision` on. Without an answer for `silence_s` it is given up."""

    def __init__(
        self, members: EtcdMembers, messages: EtcdMessages, prefix: str, from_revision: int, silence_s: float
    ) -> None:
        self._members = members
        self._messages = messages
        self._prefix = prefix
        self._from = from_revision
        self._silence_s = silence_s
        self._heard = 0.0  # when, on the event loop's clock

    async def batches(self) -> AsyncIterator[Batch]:
        """Ends only by an error, or when the caller closes it."""
        member, call = await self._open()
        covered = self._from - 1
        held: list[Change] = []
        try:
            while True:
                answer = await self._read(member, call, self._silence_s)
                held += [c for c in map(self._messages.change, answer.events) if c.entry.revision >= self._from]
                whole, held = _split(held, complete=not answer.fragment)
                if whole:
                    covered = whole[-1].entry.revision
                    yield Batch(whole, covered)
                elif not answer.events:
                    yield Batch((), covered)
        finally:
            call.cancel()

    async def _open(self) -> tuple[EtcdMember, Any]:
        """The first member that accepts the watch."""
        members = self._members.all()
        limit_s = self._silence_s / len(members)
        failure = Unavailable(f"watch {self._prefix}: no register member can be reached")
        for member in members:
            if not await member.connected(limit_s):
                continue
            call = member.watch.Watch(self._requests(), metadata=REQUIRE_LEADER)
            try:
                await self._read(member, call, limit_s)
            except Unavailable as error:
                failure = error
            except BaseException:
                call.cancel()
                raise
            else:
                return member, call
            call.cancel()
        raise failure

    async def _requests(self) -> AsyncIterator[Any]:
        yield rpc.WatchRequest(
            create_request=rpc.WatchCreateRequest(
                key=self._messages.key(self._prefix),
                range_end=self._messages.end(self._prefix),
                start_revision=max(1, self._from - 1),
                fragment=True,
            )
        )
        loop, pause_s = asyncio.get_running_loop(), self._silence_s / ASKED_PER_LIMIT
        asked = loop.time()
        while True:
            await asyncio.sleep(max(self._heard, asked) + pause_s - loop.time())
            if self._heard + pause_s <= loop.time():  # a watch that says something need not be asked
                asked = loop.time()
                yield rpc.WatchRequest(progress_request=rpc.WatchProgressRequest())

    async def _read(self, member: EtcdMember, call: Any, limit_s: float) -> Any:
        what = f"watch {self._prefix}"
        try:
            async with asyncio.timeout(limit_s):
                answer = await call.read()
        except TimeoutError as error:
            self._members.demote(member)
            raise Unavailable(f"{what}: {member.endpoint} was silent for {limit_s:g} s") from error
        except grpc.aio.AioRpcError as error:
            self._members.demote(member)
            raise translate(what, error, write=False) from error
        except asyncio.CancelledError:
            self._members.raise_if_closed(what)
            raise
        self._heard = asyncio.get_running_loop().time()
        if answer is grpc.aio.EOF:
            self._members.demote(member)
            raise Unavailable(f"{what}: {member.endpoint} ended the stream")
        if answer.compact_revision:
            raise Compacted
        if answer.canceled:
            raise Unavailable(f"{what}: ended by the register: {answer.cancel_reason}")
        return answer


def _split(held: list[Change], *, complete: bool) -> tuple[tuple[Change, ...], list[Change]]:
    """Whole revisions, and what has to wait for the rest of its revision."""
    if complete or not held:
        return tuple(held), []
    last = held[-1].entry.revision
    return tuple(c for c in held if c.entry.revision < last), [c for c in held if c.entry.revision == last]
