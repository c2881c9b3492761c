"""List sites with what they hold and what is promised there; make one a member; prepare one's cluster.

fedctl sites
fedctl sites tacc -o json
fedctl sites join site.yaml --uid UID      make a site a member; UID is the one in its agent's certificate
fedctl sites prepare iu --plan             what would be installed in its cluster, and what is in the way
fedctl sites prepare iu                    the same, and after a yes it is done: exactly that plan, or nothing

What is installed is said by spec.prepare of the site file, which its agent reads when it starts. What somebody else has
installed is left alone. Ctrl-C ends the watching, not the work. Running it again shows how far it is, or goes on from what
is there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from federation.api.v1 import control_pb2, types_pb2
from federation.cli import output
from federation.cli.connecting import add_output, connected
from federation.cli.documents import list_document, marked, site_document, tell_staleness
from federation.cli.numbers import seconds
from federation.model.errors import ExitCode, InvalidRequest


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument(
        "words", nargs="*", metavar="NAME | join FILE | prepare SITE", help="a site; or what to do, and with which"
    )
    parser.add_argument("--uid", default="", help="for join: the uid in the agent's certificate")
    parser.add_argument("--plan", action="store_true", help="for prepare: only show the plan")
    parser.add_argument("--yes", action="store_true", help="for prepare: do not ask")
    parser.add_argument(
        "--timeout", type=seconds, default=3600.0, metavar="S", help="for prepare: seconds to watch (3600)"
    )
    add_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """List, join or prepare."""
    if arguments.words and arguments.words[0] == "join":
        return _join(arguments)
    if arguments.words and arguments.words[0] == "prepare":
        return _prepare(arguments)
    name = arguments.words[0] if arguments.words else ""
    with connected(arguments) as client:
        answer = client.call("ListSites", control_pb2.ListSitesRequest(name=name))
    tell_staleness(answer.freshness)
    if arguments.output in ("json", "yaml"):
        documents = [site_document(site) for site in answer.items]
        single = marked(documents[0], answer.freshness) if name else list_document(documents, answer.freshness)
        output.document(single, arguments.output)
    elif arguments.output == "name":
        for site in answer.items:
            output.data(site.name)
    else:
        output.table(("NAME", "KIND", "READY", "HUBS", "CORES", "MEMORY", "EDGE", "NOTES"), map(_row, answer.items))
    return ExitCode.OK


def _row(site: control_pb2.Site) -> tuple[str, ...]:
    ready = next((c.status for c in site.conditions if c.type == "Ready"), "Unknown")
    notes = [f"{c.type}={c.status}" for c in site.conditions if c.type != "Ready"]
    if site.cordon:
        notes.insert(0, f"cordoned: {site.cordon};")
    return (
        site.name,
        site.kind,
        ready,
        str(site.hubs),
        f"{site.reserved.cpu_millis / 1000:g}/{site.capacity.cpu_millis / 1000:g}",
        f"{site.reserved.memory_bytes / 2**30:.4g}/{site.capacity.memory_bytes / 2**30:.4g}G",
        site.edge_address,
        " ".join(notes),
    )


def _prepare(arguments: argparse.Namespace) -> int:
    from federation.cli.preparing import prepare  # noqa: PLC0415 - only here

    if len(arguments.words) != 2:  # noqa: PLR2004 - "prepare" and the site
        raise InvalidRequest("`fedctl sites prepare SITE` needs one site", help="`fedctl sites` lists them.")
    if arguments.output not in ("table", "json", "yaml"):
        raise InvalidRequest(f"a plan has no form {arguments.output}", help="-o table, json or yaml.")
    with connected(arguments) as client:
        return prepare(client, arguments.words[1], arguments)


def _join(arguments: argparse.Namespace) -> int:
    from federation.runtime.settings_files import load_site  # noqa: PLC0415 - slow to import, and only here

    if len(arguments.words) != 2 or not arguments.uid:  # noqa: PLR2004 - "join" and the file
        raise InvalidRequest("`fedctl sites join FILE --uid UID` needs a file and the uid of the agent's certificate")
    site = load_site(Path(arguments.words[1]))
    capacity = types_pb2.Capacity()
    if site.spec.capacity is not None:
        capacity.cpu_millis = site.spec.capacity.cpu.millis
        capacity.memory_bytes = site.spec.capacity.memory.bytes
    request = control_pb2.JoinSiteRequest(
        name=site.name, kind=site.spec.kind.value, capacity=capacity, uid=arguments.uid
    )
    with connected(arguments) as client:
        client.call("JoinSite", request)
    output.data(f"{site.name}: joined")
    return ExitCode.OK
