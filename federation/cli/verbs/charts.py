"""Fetch the upstream charts that hubs in a cluster need, or say whether a folder has them.

fedctl charts list
fedctl charts pull --to /var/lib/hubfed/charts
fedctl charts pull traefik cert-manager --to charts --mirror https://mirror.example.edu/charts
fedctl charts verify --in /var/lib/hubfed/charts
fedctl charts pull jupyterhub --to charts --digest jupyterhub=sha256:...    a digest that the list does not have

Which version of which chart, and which bytes, is in the list that comes with hubfed. A file appears under its own name when
its digest was seen to be right; a pull that was interrupted goes on when it is run again. A chart for which the list has no
digest is fetched with --trust-first only, which prints what has come: compare it, and give it as --digest from then on.

HUBFED_CHARTS is the folder where none is named; an agent looks there, too, unless its site file names one. Proxies are
those of the environment. verify ends with 3 if a chart is missing, with 6 if one is not the pinned one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from federation.cli import output
from federation.cli.connecting import add_document_output
from federation.cli.numbers import seconds
from federation.model.errors import CATALOGUE, ExitCode, FederationError, InvalidRequest, Unavailable
from federation.model.files.explain import explain
from federation.model.scalars import near_miss
from federation.model.upstream_charts import PinnedChart, UpstreamCharts
from federation.runtime.chart_archives import Looked, State, look, shipped_pins
from federation.runtime.disk import locked
from federation.runtime.settings_files import load_upstream

LOCK = ".pull.lock"
MIB = 1 << 20
TENTHS = 10
EVERY = ""  # the mirror of all charts that have none of their own


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("action", choices=("list", "pull", "verify"))
    parser.add_argument("charts", nargs="*", metavar="CHART", help="only these; default: all of the list")
    parser.add_argument("--to", "--in", dest="folder", metavar="FOLDER", help="default: $HUBFED_CHARTS")
    parser.add_argument(
        "--mirror", action="append", default=[], metavar="[NAME=]URL", help="ask this repository instead (repeatable)"
    )
    parser.add_argument(
        "--digest", action="append", default=[], metavar="NAME=SHA256", help="instead of the list's (repeatable)"
    )
    parser.add_argument("--trust-first", action="store_true", help="take charts without a digest, and print theirs")
    parser.add_argument("--pins", type=Path, metavar="FILE", help="another list; default: the one of this version")
    parser.add_argument("--timeout", type=seconds, default=30.0, metavar="S", help="seconds of silence to bear (30)")
    add_document_output(parser)


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    pins = load_upstream(arguments.pins or shipped_pins())
    digests, mirrors = _pairs(arguments.digest, pins), _pairs(arguments.mirror, pins, every=True)
    charts = [_with_digest(chart, digests.get(chart.name)) for chart in _chosen(pins, arguments.charts)]
    if arguments.action == "list":
        return _list(charts, arguments.output)
    folder = _folder(arguments)
    try:
        if arguments.action == "verify":
            return _verify([look(folder, chart) for chart in charts], folder, arguments.output)
        for url in mirrors.values():
            _checked(charts[0], repository=url)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / LOCK):
            return asyncio.run(_pull(folder, charts, mirrors, arguments))
    except OSError as error:
        raise Unavailable(f"{folder}: {error.strerror or error}") from error


async def _pull(folder: Path, charts: list[PinnedChart], mirrors: dict[str, str], arguments: argparse.Namespace) -> int:
    from federation.runtime.chart_pull import ChartPull, open_session  # noqa: PLC0415 - slow to import

    rows: list[dict[str, Any]] = []
    failed: FederationError | None = None
    async with open_session(arguments.timeout) as session:
        pull = ChartPull(folder, session, arguments.trust_first)
        for chart in charts:
            mirror = mirrors.get(chart.name, mirrors.get(EVERY, ""))
            try:
                done = await pull.pull(chart, mirror, _Progress(f"{chart.name} {chart.version}").told)
            except FederationError as error:  # it is no reason to leave the others where they are
                output.clear_line()
                output.say(f"error: {error.message}\n{error.help}")
                failed = failed or error
                continue
            output.clear_line()
            output.say(f"{done.path.name}: {'fetched' if done.fetched else 'was there already'}")
            if chart.digest is None:
                output.say(f"{chart.name}: nobody has pinned it: compare {done.digest} before you rely on it")
            row = {"name": chart.name, "archive": done.path.name, "digest": done.digest, "fetched": done.fetched}
            rows.append(row)
    if arguments.output == "table":
        output.table(("NAME", "ARCHIVE", "DIGEST"), ((row["name"], row["archive"], row["digest"]) for row in rows))
    else:
        body = {"apiVersion": "hubfed/v1", "kind": "ChartList", "folder": str(folder), "items": rows}
        output.document(body, arguments.output)
    return CATALOGUE[failed.code].exit_code if failed is not None else ExitCode.OK


class _Progress:
    """A line for each tenth of a file."""

    def __init__(self, what: str) -> None:
        self._what, self._shown = what, 0

    def told(self, done: int, whole: int) -> None:
        tenth = done * TENTHS // whole if whole else 0
        if tenth > self._shown:
            self._shown = tenth
            output.line(f"{self._what}: {done / MIB:.1f} of {whole / MIB:.1f} MiB")


def _verify(rows: list[Looked], folder: Path, form: str) -> int:
    if form == "table":
        cells = ((row.chart.name, row.chart.version, row.state, _note(row)) for row in rows)
        output.table(("NAME", "VERSION", "STATE", "NOTE"), cells)
    else:
        items = [_item(row) for row in rows]
        output.document({"apiVersion": "hubfed/v1", "kind": "ChartList", "folder": str(folder), "items": items}, form)
    states = {row.state for row in rows}
    if states - {State.OK, State.MISSING}:
        return ExitCode.REFUSED
    return ExitCode.NOT_FOUND if State.MISSING in states else ExitCode.OK


def _item(row: Looked) -> dict[str, Any]:
    chart = row.chart
    return {
        "name": chart.name, "version": chart.version, "archive": chart.archive, "state": str(row.state),
        "digest": row.digest, "pinned": chart.digest or "", "others": row.others,
    }  # fmt: skip


def _note(row: Looked) -> str:
    match row.state:
        case State.WRONG:
            return f"is {row.digest}, pinned is {row.chart.digest}"
        case State.UNPINNED:
            return f"is {row.digest}, and nobody has pinned it"
        case State.SEVERAL:
            return f"beside it is {', '.join(row.others)}: agents want one"
        case State.MISSING if row.others:
            return f"there is {', '.join(row.others)}"
        case _:
            return ""


def _list(charts: list[PinnedChart], form: str) -> int:
    if form == "table":
        rows = ((c.name, c.version, "pinned" if c.digest else "", c.repository, c.why) for c in charts)
        output.table(("NAME", "VERSION", "DIGEST", "REPOSITORY", "WHY"), rows)
    else:
        items = [chart.model_dump(mode="json", exclude_none=True) for chart in charts]
        output.document({"apiVersion": "hubfed/v1", "kind": "ChartList", "items": items}, form)
    return ExitCode.OK


def _chosen(pins: UpstreamCharts, names: list[str]) -> list[PinnedChart]:
    for name in names:
        if pins.named(name) is None:
            raise _unknown(name, pins)
    return [chart for chart in pins.charts if not names or chart.name in names]


def _pairs(words: list[str], pins: UpstreamCharts, *, every: bool = False) -> dict[str, str]:
    """NAME=VALUE; with `every` also VALUE alone, for all charts. A URL may have = in it."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if every and (not equals or ":" in name):
            name, value = EVERY, word
        elif not equals or not value:
            raise InvalidRequest(f"{word!r} is not NAME=VALUE")
        if name != EVERY and pins.named(name) is None:
            raise _unknown(name, pins)
        found[name] = value
    return found


def _unknown(name: str, pins: UpstreamCharts) -> InvalidRequest:
    known = [chart.name for chart in pins.charts]
    near = near_miss(name, known)
    hint = f"; did you mean {near}?" if near else ""
    return InvalidRequest(f"the list has no chart {name!r}{hint}", help=f"It has {', '.join(known)}.")


def _with_digest(chart: PinnedChart, digest: str | None) -> PinnedChart:
    return chart if digest is None else _checked(chart, digest=digest, digest_from="the command line")


def _checked(chart: PinnedChart, **changes: str) -> PinnedChart:
    try:
        return chart.revise(**changes)
    except ValidationError as error:
        problem = explain(error, PinnedChart)[0]
        raise InvalidRequest(f"{chart.name}: {problem.wrong}; {problem.allowed}; e.g. {problem.example}") from None


def _folder(arguments: argparse.Namespace) -> Path:
    named = arguments.folder or os.environ.get("HUBFED_CHARTS", "")
    if not named:
        wrong = f"`fedctl charts {arguments.action}` needs a folder"
        raise InvalidRequest(wrong, help="--to FOLDER, --in FOLDER, or HUBFED_CHARTS.")
    return Path(named)
