"""Forgets the register's old history. The leader runs it; two at once do no harm.

etcd keeps every version of every key until told otherwise; the quota would be used up by renewals alone.
"""

from __future__ import annotations

import structlog

from federation.model.errors import FederationError
from federation.runtime.clock import Clock
from federation.store.interface import Store

log = structlog.get_logger(__name__)

KEEP_S = 300.0  # longer than any break after which a watch should resume without listing anew


async def compact_regularly(store: Store, clock: Clock, keep_s: float = KEEP_S) -> None:
    """Eternal: every `keep_s`, forget what is older than the revision seen `keep_s` ago."""
    seen = 0
    while True:
        try:
            revision = (await store.list("compaction/")).revision  # an empty folder: only the revision is wanted
            if seen:
                await store.compact(seen)
            seen = revision
        except FederationError as error:
            log.warning("register.compaction-failed", error=error.message)
        await clock.sleep(keep_s)
