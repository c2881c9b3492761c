"""Say what is well and what is not: coordinators, leader, register, sites, classrooms. Exit code 1 if anything is red.

fedctl doctor
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from federation.api.v1 import control_pb2
from federation.cli import output
from federation.cli.client import Client
from federation.cli.contexts import Context, choose_context
from federation.cli.listing import all_hubs
from federation.model.errors import ExitCode, FederationError
from federation.runtime.etcd_process import UNSAFE

Line = tuple[str, str, str]  # ok | note | RED, what, why
QUIET = {"Serving", "NameConverged"}


def configure(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def run(arguments: argparse.Namespace) -> int:
    """Look at everything."""
    context = choose_context(arguments.context)
    lines = list(_coordinators(context))
    client = Client(context)
    try:
        lines += _register(client)
        lines += _sites(client)
        lines += _classrooms(client)
    except FederationError as error:
        lines.append(("RED", "federation", f"{error.message} {error.help}"))
    finally:
        client.close()
    output.table(("STATE", "WHAT", "WHY"), lines)
    return ExitCode.FAILED if any(state == "RED" for state, _what, _why in lines) else ExitCode.OK


def _coordinators(context: Context) -> Iterator[Line]:
    for address in context.coordinators:
        alone = Client(Context(context.name, (address,), context.ca, context.cert, context.key))
        try:
            status = alone.call("Status", control_pb2.StatusRequest(), timeout_s=3.0)
            leads = "leads" if status.leader == status.coordinator else f"follows {status.leader or 'nobody'}"
            yield ("ok" if status.leader else "RED", f"coordinator {status.coordinator}", f"{address} {leads}")
        except FederationError as error:
            yield "RED", f"coordinator {address}", error.message
        finally:
            alone.close()


def _register(client: Client) -> Iterator[Line]:
    status = client.call("Status", control_pb2.StatusRequest())
    version = status.register_version
    if status.freshness.stale:
        yield "RED", "register", f"does not answer; last heard {status.freshness.age_s:.0f} s ago"
    elif "ALARM" in version:
        yield "RED", "register", version
    elif version in UNSAFE:
        yield "RED", "register", f"etcd {version} can corrupt its data when killed: fine for a demo only"
    else:
        yield "ok", "register", f"etcd {version}, revision {status.revision}"


def _sites(client: Client) -> Iterator[Line]:
    for site in client.call("ListSites", control_pb2.ListSitesRequest()).items:
        for condition in site.conditions:
            bad = condition.type == "Ready" and condition.status != "True"
            warn = (condition.type == "Overcommitted") == (condition.status == "True")
            state = "RED" if bad else "note" if warn and condition.type != "Ready" else "ok"
            what = f"site {site.name} {condition.type}={condition.status}"
            yield state, what, condition.message or condition.reason


def _classrooms(client: Client) -> Iterator[Line]:
    for hub in all_hubs(client, control_pb2.ListRequest())[0]:
        for condition in hub.status.conditions:
            if condition.status == "True":
                continue
            state = "RED" if condition.type in QUIET and hub.status.operation.done else "note"
            what = f"classroom {hub.metadata.name} {condition.type}={condition.status}"
            yield state, what, condition.message or condition.reason
