"""Say whether the register is the one that was known, and make it anew from what the sites hold.

fedctl register status
fedctl register recover
fedctl register recover --without tacc              tacc is dead: by your word it cannot report, and nothing runs there
fedctl register recover --owner atm101-2c801f=iu    where reports do not agree; =none: the class is retired
fedctl register recover --yes hubs                  the federation's name, for scripts

An etcd that was emptied, or restored from a backup, answers like any other one. Coordinators and sites remember what they
saw, and believe it no more: nothing is granted, moved, named or placed then. What runs goes on. Read the runbook first,
docs/how-to/recover-the-register.md: if the right data can be brought back, that is better than a recovery.

A recovery can be interrupted at any point and begun again, by anybody; it goes on where it was.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable

from federation.api.v1 import control_pb2, types_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.cli.connecting import add_document_output, connected
from federation.cli.documents import epoch_text
from federation.cli.numbers import seconds
from federation.model.errors import Conflict, ExitCode, InvalidRequest, Unavailable

ASK_S = 1.0
STEP_S = 60.0  # one step may write thousands of hubs


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("what", choices=("status", "recover"))
    parser.add_argument(
        "--without", action="append", default=[], metavar="SITE", help="it cannot report and runs nothing, you say"
    )
    parser.add_argument("--owner", action="append", default=[], metavar="HUB=SITE", help="whose a hub is, you say")
    parser.add_argument("--replace", default="", metavar="UUID", help="take over a register of another uuid")
    parser.add_argument("--yes", default="", metavar="NAME", help="the federation's name, for scripts")
    parser.add_argument("--timeout", type=seconds, default=600.0, metavar="S", help="seconds to wait (600)")
    add_document_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Look, or recover."""
    owners = dict(_pair(word) for word in arguments.owner)
    with connected(arguments) as client:
        state = client.call("RegisterStatus", control_pb2.RegisterStatusRequest())
        if arguments.what == "status":
            _show(state, arguments.output)
            return ExitCode.FAILED if state.problem else ExitCode.OK
        if not state.problem:
            raise InvalidRequest("the register is the one that was known: there is nothing to recover")
        _show(state, "table")
        request = control_pb2.RecoverRegisterRequest(
            confirm_federation=arguments.yes or _typed(client),
            without=arguments.without,
            owners=owners,
            replace=arguments.replace,
        )
        return _follow(client, request, arguments.timeout)


def _follow(client: Client, request: control_pb2.RecoverRegisterRequest, limit_s: float) -> int:
    """Ask for step after step. What may have been carried out is asked again: every step can be repeated."""
    until, said = time.monotonic() + limit_s, ""  # noqa: TID251 - a person waits here, nothing is decided by it
    while True:
        try:
            state = client.call("RecoverRegister", request, timeout_s=STEP_S)
        except (Conflict, Unavailable) as error:
            state, waiting = None, error.message
        else:
            waiting = "; ".join(state.waiting_for)
        if state is not None and state.step == "done":
            output.data(f"register {state.era.uuid}: recovered, era {state.era.era}; {len(state.hubs)} hubs")
            output.say("coordinators begin anew now; `fedctl doctor` says when all is well again")
            return ExitCode.OK
        if waiting != said:
            output.say(f"waiting: {waiting}" if waiting else "writing")
            said = waiting
        if time.monotonic() > until:  # noqa: TID251
            output.say("not done; run it again to go on, with --without SITE or --owner HUB=SITE where it says so")
            return ExitCode.FAILED
        time.sleep(ASK_S)


def _typed(client: Client) -> str:
    """The federation's name, from whoever read what was found."""
    if not sys.stdin.isatty():
        raise InvalidRequest("a recovery needs the federation's name: --yes NAME")
    name = client.call("Status", control_pb2.StatusRequest()).federation
    output.say(f"Every older answer of this register becomes void. Type the federation's name ({name}) to go on:")
    return sys.stdin.readline().strip()


def _pair(word: str) -> tuple[str, str]:
    hub, found, site = word.partition("=")
    if not (found and hub and site):
        raise InvalidRequest(f"--owner {word}: write it as HUB=SITE, or HUB=none for a class that is retired")
    return hub, site


def _show(state: control_pb2.RegisterState, form: str) -> None:
    if form != "table":
        output.document(_document(state), form)
        return
    output.table(("WHAT", "IS"), _facts(state))
    if not state.problem:
        return
    output.data("")
    output.table(("SITE", "REPORTS", "HOLDS"), [_site(site) for site in state.sites])
    output.data("")
    output.table(("HUB", "GOES TO", "BECAUSE", "REGISTER SAYS", "SITES HOLD"), [_hub(hub) for hub in state.hubs])
    for waiting in state.waiting_for:
        output.say(f"waits for: {waiting}")


def _facts(state: control_pb2.RegisterState) -> Iterable[tuple[str, str]]:
    yield "coordinator", state.coordinator
    yield "problem", state.problem or "none: the register is the one that was known"
    yield "known", _id(state.known, state.known_revision)
    yield "found", _id(state.found, state.found_revision) if state.HasField("found") else "empty"
    yield "recovery", state.step + (f", era {state.era.era}" if state.era.era else "")


def _id(register: types_pb2.RegisterId, revision: int) -> str:
    return f"{register.uuid} era {register.era}, revision {revision}"


def _site(site: control_pb2.RecoverySite) -> tuple[str, str, str]:
    reports = "yes" if site.reported else "left out" if site.without else "no"
    return site.site, reports, str(site.holds)


def _hub(hub: control_pb2.RecoveryHub) -> tuple[str, ...]:
    owner = "a person decides" if hub.undecided else hub.owner or "nobody"
    held = [f"{c.site} {epoch_text(c.epoch)} {c.mode}{' serving' if c.serving else ''}".strip() for c in hub.claims]
    return hub.hub, owner, hub.reason, hub.recorded, ", ".join(held)


def _document(state: control_pb2.RegisterState) -> dict[str, object]:
    return {
        "ok": not state.problem,
        "problem": state.problem,
        "recovery": state.step,
        "era": state.era.era,
        "known": {"uuid": state.known.uuid, "era": state.known.era, "revision": state.known_revision},
        "found": {"uuid": state.found.uuid, "era": state.found.era, "revision": state.found_revision},
        "sites": [
            {"site": s.site, "reported": s.reported, "without": s.without, "holds": s.holds} for s in state.sites
        ],
        "hubs": [
            {
                "hub": h.hub,
                "owner": h.owner,
                "undecided": h.undecided,
                "reason": h.reason,
                "recorded": h.recorded,
                "known": h.known,
                "claims": [
                    {"site": c.site, "epoch": epoch_text(c.epoch), "mode": c.mode, "serving": c.serving}
                    for c in h.claims
                ],
            }
            for h in state.hubs
        ],
        "waiting_for": list(state.waiting_for),
    }
