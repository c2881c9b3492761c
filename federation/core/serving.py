"""From an owner to a hub that serves under its name: the steps that place, failover and move have in common."""

from __future__ import annotations

from federation.core.operation_facts import LATER_S, Facts, Finish, Move, Name, Probe, Seen, Wait
from federation.model.operation import Step


def serve(facts: Facts, owner: str | None) -> Move:
    """A site was made the owner: wait until it serves, look from outside, name it."""
    step = facts.operation.step
    if owner is None:
        return Wait("nobody owns the hub although it was assigned: the register was changed by hand", LATER_S)
    if facts.seen is None:  # at any step: a new leader that has heard nothing yet must not say that all is done
        return Wait(f"{owner}: no report from the site's agent yet")
    if step in (Step.ASSIGNED, Step.OWNED):
        return _await_start(facts.seen, facts.operation.generation, owner)
    if step is Step.STARTED:
        return _verified(facts, owner)
    if step is Step.VERIFIED:
        return _named(facts)
    return Finish(Step.DONE, "serving")


def _await_start(seen: Seen, generation: int, owner: str) -> Move:
    if not seen.epoch_matches:
        return Wait(f"{owner}: has not heard of this epoch yet")
    if seen.phase != "serving" or not seen.gate_open:
        detail = f": {seen.message}" if seen.message else ""
        return Wait(f"{owner}: hub is {seen.phase}{detail}")
    if seen.generation < generation:
        return Wait(f"{owner}: serves generation {seen.generation}, applying {generation}")
    return Finish(Step.STARTED, f"serving at {owner}")


def _verified(facts: Facts, owner: str) -> Move:
    if facts.verified is None:
        return Probe()
    if not facts.verified:
        return Wait(f"{owner}: login page not seen through the edge: {facts.problem}")
    return Finish(Step.VERIFIED, "login page seen through the site's edge")


def _named(facts: Facts) -> Move:
    if facts.name_leads_here is None:
        return Name()
    if not facts.name_leads_here:
        return Wait(f"name does not lead to the hub yet: {facts.problem}")
    return Finish(Step.NAMED, "name seen from outside")
