"""Completion of verbs, options and object names, asked for by the shell through argcomplete."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Mapping
from typing import Any

import argcomplete

NAMED = ("name", "names", "words")
ASK_S = 1.0


def complete(verbs: Mapping[str, tuple[str, str]]) -> None:
    """Answer the shell and end the process."""
    parser = argparse.ArgumentParser(prog="fedctl")
    below = parser.add_subparsers(dest="verb")
    for verb, (name, text) in verbs.items():
        child = below.add_parser(verb, help=text)
        child.add_argument("--context")
        child.add_argument("--debug", action="store_true")
        importlib.import_module(f"federation.cli.verbs.{name}").configure(child)
        for action in child._actions:
            if action.dest in NAMED:
                action.completer = _names  # type: ignore[attr-defined]
            elif verb == "lab" and action.dest == "site":
                action.completer = _domains  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser)


def _domains(parsed_args: Any, **_more: Any) -> list[str]:
    """Sites of the federation on this machine and its witness, from its directory: coordinators may be down."""
    from federation.cli.local.layout import Layout, default_dir, load  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415
    from federation.runtime.disk import LocalDisk  # noqa: PLC0415

    try:
        choices = load(Layout((parsed_args.dir or default_dir()).absolute()), LocalDisk())
    except FederationError:
        return []
    return sorted({*choices.sites, *(domain.name for domain in choices.domains)}) if choices is not None else []


def _names(parsed_args: Any, **_more: Any) -> list[str]:
    """Names of classrooms (of sites for `sites`); nothing if no coordinator answers quickly."""
    from federation.api.v1 import control_pb2  # noqa: PLC0415
    from federation.cli.connecting import connected  # noqa: PLC0415
    from federation.cli.listing import all_hubs  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415

    try:
        with connected(parsed_args) as client:
            if parsed_args.verb == "sites":
                sites = client.call("ListSites", control_pb2.ListSitesRequest(), timeout_s=ASK_S)
                return [site.name for site in sites.items]
            hubs, _freshness = all_hubs(client, control_pb2.ListRequest(retired=True), timeout_s=ASK_S)
            return [hub.metadata.name for hub in hubs]
    except FederationError:
        return []
