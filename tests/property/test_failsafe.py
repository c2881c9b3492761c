"""Every interleaving of two sites that keep each other's lease of one hub: rounds, answers, takeovers, grants, reboots.

The product's own decisions on small numbers: D = 2, F = W = 1, L = 5, clocks of equal rate. Times are kept relative to now,
so that the states are finite and all of them are visited. Bugs that are planted must be found.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import pytest

from federation.core.failsafe import Asked, Mine, No, Round, Said, candidates, due, objection, outcome
from federation.core.holding import Answer, Granted, Held, Known, Terms, judge
from federation.model.identity import Epoch, Member, RegisterId
from federation.model.ownership import Mode
from federation.model.promise import Promise

D, F, W, L = 2, 1, 1, 5
CURRENT, OLD = 1, 0  # nonces
NOW = 1000
NAMES = ("a", "b")
MEMBERS = tuple(Member(site=name, uid=name, peer_address="x") for name in NAMES)
REGISTER = RegisterId(uuid="r")
EPOCHS = [Epoch(era=1, n=n) for n in range(4)]


@dataclass(frozen=True)
class Site:
    """`closes`: ticks until its gate closes, for the epoch `holds`. `promised`: (epoch asked for, ticks left)."""

    accepted: int = 0
    floor: int = 0
    ended: int = 0
    holds: int = 0
    closes: int = 0
    promised: tuple[int, int] | None = None
    heard: int = 0  # a higher epoch, from a peer

    @property
    def serves(self) -> bool:
        return self.holds > 0 and self.closes > 0

    @property
    def may_run(self) -> bool:
        """Until the fencer has ended it."""
        return self.holds > 0 and self.closes > -F - W


@dataclass(frozen=True)
class Asking:
    """One site's rounds. Ages in ticks; `answer`: (nonce, promised, highest)."""

    age: int = D + 1  # of the current round; older ones than D are worth nothing
    epoch: int = 0
    question: bool = False  # on its way
    answer: tuple[int, bool, int] | None = None
    closed_asked: int = D  # ticks since it last asked for a hub that is closed


@dataclass(frozen=True)
class State:
    sites: tuple[Site, Site]
    asking: tuple[Asking, Asking] = (Asking(), Asking())
    owner: int = 0
    epoch: int = 1
    counted: int = 0  # ticks since the owner's newest renewal
    reboots: int = 0


START = State(sites=(Site(accepted=1, floor=1, holds=1, closes=D), Site()))


class Broken(Exception):
    """Two copies."""


# --- the product's decisions, on these sites ---


def known(site: Site) -> Known:
    def named(n: int) -> dict[str, Epoch]:
        return {"h": EPOCHS[n]} if n else {}

    accepted = named(site.accepted)
    return Known(REGISTER, 1, accepted=accepted, floor=named(site.floor), ended=named(site.ended))


def held(site: Site) -> dict[str, Held]:
    return {"h": Held(EPOCHS[site.holds], NOW + site.closes, NOW + site.closes + F)} if site.holds else {}


def promises(site: Site, asker: str) -> tuple[Promise, ...]:
    if site.promised is None:
        return ()
    epoch, left = site.promised
    end = NOW + left
    return (Promise(boot_id="b", until_ns=end, hub="h", epoch=EPOCHS[epoch], site=asker, uid=asker, nonce=0),)


@cache
def may_ask(site: Site) -> bool:
    heard = {"h": EPOCHS[site.heard]} if site.heard else {}
    return "h" in candidates(known(site), held(site), promises(site, "x"), heard)


@cache
def asks(site: Site, closed_asked: int) -> bool:
    hubs = {"h": EPOCHS[site.accepted]} if may_ask(site) else {}
    return bool(due(hubs, held(site), now_ns=NOW, closed_asked_ns=NOW - closed_asked, contact_ns=D))


@cache
def refused(site: Site, asker: str, epoch: int) -> No | None:
    mine = Mine(known(site), held(site), MEMBERS, promises(site, asker), now_ns=NOW, fencer_ns=W)
    return objection(Asked(asker, asker, "h", EPOCHS[epoch]), mine)


@cache
def renewed(site: Site, owns: bool, epoch: int, promise_blocks: bool) -> Site | None:
    """What an answer makes of the site; None: it says nothing new."""
    grants, revoked = {}, {}
    if owns:
        grants = {"h": Granted(EPOCHS[epoch], Mode.ARMED)}
    elif 0 < site.accepted < epoch:
        revoked = {"h": EPOCHS[epoch]}
    else:
        return None
    answer = Answer(REGISTER, 1, seq=1, granted=True, grants=grants, revoked=revoked, sent_ns=NOW)
    promised = {"h": "promised"} if site.promised and promise_blocks else {}
    terms = Terms(contact_ns=D, fence_ns=F, promised=promised)
    holding = judge(answer, 0, held(site), known(site), terms)
    now = holding.held.get("h")
    return replace(
        site,
        accepted=holding.accepted["h"].n if "h" in holding.accepted else 0,
        ended=holding.ended["h"].n if "h" in holding.ended else 0,
        holds=now.epoch.n if now else 0,
        closes=(now.close_at_ns or 0) - NOW if now else 0,
        floor=now.epoch.n if now else site.floor,
    )


@dataclass(frozen=True)
class Model:
    """`bug`: a rule that is left out."""

    bug: str = ""
    most_epoch: int = 2
    most_reboots: int = 1

    def explore(self) -> int:
        seen, queue = {START}, deque([START])
        while queue:
            state = queue.popleft()
            for after in self.steps(state):
                if after.sites[0].may_run and after.sites[1].may_run:
                    raise Broken(f"{state} -> {after}")
                if after not in seen:
                    seen.add(after)
                    queue.append(after)
        return len(seen)

    def steps(self, state: State) -> Iterator[State]:
        yield self.tick(state)
        if state.counted >= L and state.epoch < self.most_epoch:
            yield replace(state, owner=1 - state.owner, epoch=state.epoch + 1, counted=0)
        for i in (0, 1):
            yield from self.renewal(state, i)
            yield from self.begin_round(state, i)
            yield from self.answer(state, i)
            yield from self.hear(state, i)
            if state.reboots < self.most_reboots:
                yield self.reboot(state, i)

    # --- what happens ---

    def tick(self, state: State) -> State:
        def older(site: Site) -> Site:
            left = site.promised[1] - 1 if site.promised else 0
            promised = (site.promised[0], left) if site.promised and left > 0 else None
            return replace(site, closes=max(-F - W, site.closes - 1) if site.holds else 0, promised=promised)

        def ages(asking: Asking) -> Asking:
            closed = min(D, asking.closed_asked + 1)
            return replace(asking, age=min(D + 1, asking.age + 1), closed_asked=closed)

        first, second = state.sites
        one, two = state.asking
        counted = min(L, state.counted + 1)
        return replace(state, sites=(older(first), older(second)), asking=(ages(one), ages(two)), counted=counted)

    def renewal(self, state: State, i: int) -> Iterator[State]:
        """Site i reaches a coordinator at once; the others may never reach one."""
        site, mine = state.sites[i], state.owner == i
        after = renewed(site, mine, state.epoch, self.bug != "promise does not block")
        if after is None:
            return
        if site.promised and after.serves and not site.serves and not self.bug:
            raise Broken("opened while promised")
        yield self.put(state, i, after, counted=0 if mine else state.counted)

    def begin_round(self, state: State, i: int) -> Iterator[State]:
        site, asking = state.sites[i], state.asking[i]
        if asks(site, asking.closed_asked):
            closed = asking.closed_asked if site.serves else 0
            answer = (OLD, *asking.answer[1:]) if asking.answer else None  # it may still arrive
            sent = Asking(age=0, epoch=site.accepted, question=True, answer=answer, closed_asked=closed)
            yield self.ask(state, i, sent)

    def answer(self, state: State, i: int) -> Iterator[State]:
        """The other one answers i's question, now."""
        asking, other = state.asking[i], state.sites[1 - i]
        if not asking.question:
            return
        epoch = asking.epoch
        no = refused(other, NAMES[i], epoch)
        if no is None and other.serves and not self.bug:
            raise Broken("promised while it serves")
        answer = (CURRENT, no is None, no.highest.n if no is not None and no.highest else 0)
        after = replace(asking, question=False, answer=answer)
        if no is None:
            lasts = D if self.bug == "short promise" else L
            other = replace(other, promised=(epoch, lasts))
        state = self.ask(state, i, after)
        yield self.put(state, 1 - i, other)

    def hear(self, state: State, i: int) -> Iterator[State]:
        """The answer reaches i, or is lost."""
        asking, site = state.asking[i], state.sites[i]
        if asking.answer is None:
            return
        rest = self.ask(state, i, replace(asking, answer=None))
        yield rest
        nonce, promised, highest = asking.answer
        higher = {"h": EPOCHS[highest]} if highest else {}
        if self.bug == "old rounds count":
            nonce = CURRENT
        peer = (NAMES[1 - i],) * 2
        sent_ns = NOW if self.bug == "from receipt" else NOW - asking.age
        asked = Round(CURRENT, sent_ns, {"h": EPOCHS[asking.epoch]}, frozenset({peer}))
        result = outcome(asked, [Said(peer, nonce, frozenset({"h"} if promised else ()), higher)])
        heard = max(site.heard, result.higher["h"].n if "h" in result.higher else 0)
        site = replace(site, heard=heard)
        closes = sent_ns + D - NOW
        agreed = "h" in result.agreed and may_ask(site) and site.accepted == asking.epoch
        if agreed and closes > max(0, site.closes if site.holds == asking.epoch else 0):
            site = replace(site, holds=asking.epoch, closes=closes, floor=asking.epoch)
        yield self.put(rest, i, site)

    def reboot(self, state: State, i: int) -> State:
        """Nothing is held, what was heard is forgotten, its rounds are over, its promises count in full."""
        site = state.sites[i]
        promised = (site.promised[0], L) if site.promised else None
        if self.bug == "promise not persisted":
            promised = None
        site = replace(site, holds=0, closes=0, heard=0, promised=promised)
        state = self.ask(state, i, Asking())
        return self.put(state, i, site, reboots=state.reboots + 1)

    @staticmethod
    def put(state: State, i: int, site: Site, **more: int) -> State:
        sites = (site, state.sites[1]) if i == 0 else (state.sites[0], site)
        return replace(state, sites=sites, **more)  # type: ignore[arg-type]

    @staticmethod
    def ask(state: State, i: int, asking: Asking) -> State:
        both = (asking, state.asking[1]) if i == 0 else (state.asking[0], asking)
        return replace(state, asking=both)


@pytest.mark.timeout(280)
def test_no_interleaving_has_two_copies() -> None:
    assert Model().explore() > 10_000


@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    "bug", ["promise does not block", "short promise", "old rounds count", "from receipt", "promise not persisted"]
)
def test_a_rule_that_is_left_out_is_missed(bug: str) -> None:
    with pytest.raises(Broken):
        Model(bug).explore()
