"""The register has lost what was written last, and nobody has looked at it yet: what it says then is not acted upon
(PROTOCOL.md H6)."""

from __future__ import annotations

import asyncio

import pytest

from federation.model.identity import Epoch
from federation.model.ownership import Ownership
from federation.store import keys
from federation.store.interface import Transaction
from federation.store.register import decode
from tests.simulation.test_place import begin, place, served, until
from tests.simulation.test_recovery import lived
from tests.simulation.test_takeover import serves
from tests.support.lost_register import backup, put_in_place
from tests.support.virtual import virtual_federation

pytestmark = pytest.mark.looptime

LISTED_S = 320.0  # by then every coordinator has listed the register anew


async def test_after_a_backup_of_before_a_takeover_its_epoch_is_not_given_again() -> None:
    async with lived() as life:
        old = await backup(life.federation)
        await life.federation.kill_site("iu")
        await until(lambda: life.replica.snapshot.owned("tacc", life.hub) is not None)
        await served(life.replica, life.hub)
        await put_in_place(life.federation, old)
        await asyncio.sleep(LISTED_S)
        entry = next(e for e in await backup(life.federation) if e.key == keys.ownership(life.hub))
        found = decode(entry, Ownership).document
        assert (found.owner, found.epoch) == ("iu", Epoch(era=1, n=1)), "1.2 was tacc's, and is on its disk"
        assert all(replica.ports.register.fault for replica in life.federation.transport.replicas.values())


async def test_a_class_of_which_the_register_knows_nothing_any_more_runs_on() -> None:
    """Nobody owns it at a higher epoch, and no tombstone says that it has ended: its site is not deposed (H6)."""
    async with virtual_federation() as federation:
        federation.witness = False  # the class is standing: an armed one would lapse, as without any answer
        replica = await begin(federation)
        hub = (await place(replica, storage={"type": "none"})).record.document.uid
        await served(replica, hub)
        lost = tuple(e.key for e in await backup(federation) if hub in e.key or e.key == keys.classroom("atm101"))
        assert {keys.ownership(hub), keys.owned("iu", hub)} < set(lost)
        await federation.store.commit(Transaction(deletes=lost))
        await asyncio.sleep(60)
        assert any("the register knows nothing of it" in problem for problem in federation.agents["iu"].lease.problems)
        assert await serves(federation, "iu", hub)
        assert [what for _at, what, which in federation.sites["iu"].events if which == hub] == ["start"]
