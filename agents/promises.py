"""What this site has promised its peers: hubs that it does not open for L (PROTOCOL.md H9).

A promise is in the journal before it is given. `answer` decides and writes without a pause in between, as `SiteLease`
does with grants, so that no hub is ever promised and accepted at once by two that did not see each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

import structlog

from agents.journal import Journal
from federation.core.failsafe import Asked, Mine, No, objection
from federation.core.holding import Held, Known
from federation.model.profile import Profile
from federation.model.promise import Promise, restarted
from federation.runtime.clock import Clock

log = structlog.get_logger(__name__)

NS = 1_000_000_000


class Promises:
    """Made with the journal; after a reboot every promise counts in full again, from now."""

    def __init__(self, journal: Journal, clock: Clock, profile: Profile) -> None:
        self._journal = journal
        self._clock = clock
        self._fencer_ns, self._whole_ns = int(profile.fencer_s * NS), int(profile.takeover_s * NS)
        boot_id, now_ns = clock.boot_id(), clock.boottime_ns()
        self._given = tuple(restarted(p, boot_id, now_ns, self._whole_ns) for p in journal.record.promises)

    def running(self) -> tuple[Promise, ...]:
        """Those that are not over."""
        boot_id, now_ns = self._clock.boot_id(), self._clock.boottime_ns()
        return tuple(promise for promise in self._given if promise.runs(boot_id, now_ns))

    def blocked(self) -> dict[str, str]:
        """Hubs that must not be opened here now, and why."""
        now_ns, reasons = self._clock.boottime_ns(), {}
        for promise in sorted(self.running(), key=lambda one: one.until_ns):
            until = self._clock.now() + timedelta(seconds=round((promise.until_ns - now_ns) / NS))
            name = f"promised {promise.site} until {until:%H:%M:%S %Z}"
            reasons[promise.hub] = f"{promise.hub}: {name} not to open it: it may still serve there"
        return reasons

    def answer(
        self, asked: Iterable[Asked], nonce: int, *, known: Known, held: Mapping[str, Held], unfit: str
    ) -> dict[str, No | None]:
        """Decide on each hub, journal the promises, return what to say. Unavailable: nothing was promised."""
        running, now_ns = self.running(), self._clock.boottime_ns()
        mine = Mine(known, held, self._journal.record.members, running, now_ns, self._fencer_ns, unfit)
        answers: dict[str, No | None] = {}
        given: list[Promise] = []
        for one in asked:
            answers[one.hub] = objection(one, mine)
            if answers[one.hub] is None:
                given.append(self._promise(one, nonce, now_ns))
        if given:
            self._journal_with(running, given)
        return answers

    def _promise(self, asked: Asked, nonce: int, now_ns: int) -> Promise:
        return Promise(
            boot_id=self._clock.boot_id(),
            until_ns=now_ns + self._whole_ns,
            hub=asked.hub,
            epoch=asked.epoch,
            site=asked.site,
            uid=asked.uid,
            nonce=nonce,
        )

    def _journal_with(self, running: tuple[Promise, ...], given: list[Promise]) -> None:
        """A newer promise to the same site takes the place of the older one, which ends sooner."""
        renewed = {(promise.hub, promise.site, promise.uid) for promise in given}
        before = {(promise.hub, promise.site, promise.uid) for promise in running}
        rest = (promise for promise in running if (promise.hub, promise.site, promise.uid) not in renewed)
        promises = (*rest, *given)
        self._journal.write(promises=promises)
        self._given = promises
        for hub, site, _uid in sorted(renewed - before):
            log.info("promise.given", hub=hub, to=site, seconds=self._whole_ns // NS)
