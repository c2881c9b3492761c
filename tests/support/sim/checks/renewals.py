"""(3b) A committed renewal is of the newest incarnation, in rising order, and of a site that hears (PROTOCOL.md H4, H8).

A deaf site's renewals would keep its lease fresh while it has fenced itself: nobody serves, and nobody may take over.
"""

from __future__ import annotations

from math import ceil

from tests.support.sim.checks.verdict import Verdict
from tests.support.sim.history import History, Leased, Pair, Started

NAME = "3b renewals"


def check(history: History) -> Verdict:
    verdict = Verdict(NAME)
    times = history.times
    deaf = ceil(times.contact_s / times.renew_s)
    newest: dict[str, int] = {}
    orders: dict[str, Pair] = {}
    for event in history.events:
        match event:
            case Started(site=site):
                newest[site] = event.incarnation
            case Leased(site=site, deaf=False):
                order = (event.incarnation, event.seq)
                if event.incarnation < newest.get(site, 0):
                    text = f"{site}: incarnation {event.incarnation} renewed after {newest[site]} had begun"
                    verdict.found(event.at, text, sites=(site,))
                if order <= orders.get(site, (0, 0)):
                    verdict.found(event.at, f"{site}: renewal {order} came after {orders[site]}", sites=(site,))
                if event.seq - event.heard > deaf:
                    text = f"{site}: renewal {event.seq} was granted, the newest answer that it heard is {event.heard}"
                    verdict.found(event.at, text, sites=(site,))
                orders[site] = order
    return verdict.done()
