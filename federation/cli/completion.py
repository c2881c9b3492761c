"""Completion of verbs, options and names, asked for by the shell through argcomplete.

What is offered is chosen by the verb and the argument: names of what the argument is about, files where it names a
file, and nothing elsewhere.
"""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import argcomplete
from argcomplete.completers import DirectoriesCompleter, FilesCompleter

from federation.cli.client import Client

ASK_S = 1.0

Completer = Callable[..., Iterable[str]]


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
            if not action.choices:  # argcomplete offers those by itself
                action.completer = completer_of(verb, action)  # type: ignore[attr-defined]
    argcomplete.autocomplete(parser, default_completer=_nothing)


def completer_of(verb: str, action: argparse.Action) -> Completer:
    """By verb and argument; else by what the argument is called."""
    if (verb, action.dest) in OF_VERB:
        return OF_VERB[verb, action.dest]
    if action.metavar == "FILE":
        return FilesCompleter()  # type: ignore[no-any-return]
    return OF_NAME.get(action.dest, _nothing)


def _nothing(**_asked: Any) -> list[str]:
    return []


def _classrooms(parsed_args: Any, **_more: Any) -> list[str]:
    """The retired ones, too, where they can still be meant."""
    from federation.api.v1 import control_pb2  # noqa: PLC0415
    from federation.cli.listing import all_hubs  # noqa: PLC0415

    def ask(client: Client) -> list[str]:
        request = control_pb2.ListRequest(retired=parsed_args.verb not in ("retire", "logs", "doctor"))
        return [hub.metadata.name for hub in all_hubs(client, request, timeout_s=ASK_S)[0]]

    return _asked(parsed_args, ask)


def _sites(parsed_args: Any, **_more: Any) -> list[str]:
    from federation.api.v1 import control_pb2  # noqa: PLC0415

    def ask(client: Client) -> list[str]:
        sites = client.call("ListSites", control_pb2.ListSitesRequest(), timeout_s=ASK_S)
        return [site.name for site in sites.items]

    return _asked(parsed_args, ask)


def _secrets(parsed_args: Any, **_more: Any) -> list[str]:
    from federation.api.v1 import control_pb2  # noqa: PLC0415

    def ask(client: Client) -> list[str]:
        secrets = client.call("ListSecrets", control_pb2.ListSecretsRequest(), timeout_s=ASK_S)
        return [secret.name for secret in secrets.items]

    return _asked(parsed_args, ask) if parsed_args.action != "list" else []


def _hooks(parsed_args: Any, **_more: Any) -> list[str]:
    from federation.api.v1 import control_pb2  # noqa: PLC0415

    def ask(client: Client) -> list[str]:
        hooks = client.call("ListHooks", control_pb2.ListHooksRequest(), timeout_s=ASK_S)
        return [hook.name for hook in hooks.items]

    return _asked(parsed_args, ask) if parsed_args.action != "list" else []


def _contexts(parsed_args: Any, **_more: Any) -> list[str]:
    from federation.cli.contexts import load_contexts  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415

    try:
        return list(load_contexts()[1]) if getattr(parsed_args, "action", "use") != "list" else []
    except FederationError:
        return []


def _any_context(**_asked: Any) -> list[str]:
    return _contexts(None)


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


def _classrooms_and_sites(**asked: Any) -> list[str]:
    return [*_classrooms(**asked), *_sites(**asked)]


def _homes(parsed_args: Any, **_more: Any) -> list[str]:
    """What to do; or a student of the class and then what to do."""
    from federation.api.v1 import control_pb2  # noqa: PLC0415

    words = parsed_args.words or []
    if words:
        return ["list", "restore"] if len(words) == 1 and words != ["list"] else []

    def ask(client: Client) -> list[str]:
        known = client.call("ListHomes", control_pb2.ListHomesRequest(name=parsed_args.name), timeout_s=ASK_S)
        return [home.name for home in known.homes]

    return ["list", *_asked(parsed_args, ask)]


def _site_or_file(parsed_args: Any, **more: Any) -> Iterable[str]:
    """A site to show; or `join` and a file; or `prepare` and a site."""
    words = parsed_args.words or []
    if words[:1] == ["join"]:
        return FilesCompleter()(parsed_args=parsed_args, **more)  # type: ignore[no-any-return]
    if words[:1] == ["prepare"]:
        return _sites(parsed_args) if len(words) == 1 else []
    return ["join", "prepare", *_sites(parsed_args)] if not words else []


def _charts(**_asked: Any) -> list[str]:
    from federation.runtime.chart_archives import shipped_pins  # noqa: PLC0415
    from federation.runtime.settings_files import load_upstream  # noqa: PLC0415

    return [chart.name for chart in load_upstream(shipped_pins()).charts]


def _asked(parsed_args: Any, ask: Callable[[Client], list[str]]) -> list[str]:
    """Nothing if no coordinator answers quickly."""
    from federation.cli.connecting import connected  # noqa: PLC0415
    from federation.model.errors import FederationError  # noqa: PLC0415

    try:
        with connected(parsed_args) as client:
            return ask(client)
    except FederationError:
        return []


OF_VERB: dict[tuple[str, str], Completer] = {
    ("secret", "name"): _secrets,
    ("context", "name"): _contexts,
    ("hooks", "name"): _hooks,
    ("sites", "words"): _site_or_file,
    ("charts", "charts"): _charts,
    ("homes", "words"): _homes,
    ("lab", "site"): _domains,
    ("events", "name"): _classrooms_and_sites,
}
OF_NAME: dict[str, Completer] = {
    "name": _classrooms,
    "names": _classrooms,
    "yes_delete": _classrooms,
    "site": _sites,
    "vouch": _sites,
    "context": _any_context,
    "dir": DirectoriesCompleter(),
    "folder": DirectoriesCompleter(),
}
