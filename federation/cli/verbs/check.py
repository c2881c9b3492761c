"""Check files without a coordinator. Every error is shown as FILE:LINE:COLUMN with what is allowed.

fedctl check *.yaml
fedctl check atm101.yaml --sites sites/*.yaml      also against what these sites hold
fedctl check federation.yaml sites/*.yaml          the files that coordinators and agents read
fedctl check atm101.yaml --values > values.yaml    what the JupyterHub chart is given in a cluster

A note says what is allowed but should be known, e.g. that a federation has no witness; it is no error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from federation.cli import output
from federation.cli.files import read_checked, read_files
from federation.model.classroom import Classroom
from federation.model.errors import ExitCode
from federation.model.files.check import check_against
from federation.model.files.load import kind_in, read_federation, read_site


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="classroom, site and federation files")
    parser.add_argument(
        "--values", action="store_true", help="print the values for the upstream JupyterHub chart, without secrets"
    )
    parser.add_argument("--sites", nargs="+", default=[], metavar="FILE", help="site files to check against")


def run(arguments: argparse.Namespace) -> int:
    """Check."""
    files, _unreadable = read_files(arguments.files)  # those are told together with the classrooms
    kinds = {path: (kind_in(path, content), content) for path, content in files}
    daemons = [path for path, (kind, _content) in kinds.items() if kind in ("Site", "Federation")]
    looked = [_daemons_file(path, *kinds[path]) for path in daemons]
    good = all(looked)
    classrooms = [path for path in arguments.files if path not in daemons]
    if classrooms:
        good = _classrooms(classrooms, arguments.sites, values=arguments.values) and good
    return ExitCode.OK if good else ExitCode.BAD_INPUT


def _daemons_file(path: str, kind: str, content: bytes) -> bool:
    """A file that a coordinator or an agent is started with."""
    name, notes = "", tuple[str, ...]()
    if kind == "Site":
        sites = read_site(path, content)
        findings = sites.findings
        name = "".join(site.name for site in sites.values)
    else:
        federations = read_federation(path, content)
        findings = federations.findings
        name = "".join(federation.name for federation in federations.values)
        notes = tuple(note for federation in federations.values for note in federation.spec.notices)
    for finding in findings:
        output.say(str(finding))
    for note in notes:
        output.say(f"{path}: note: {note}")
    if not findings:
        output.data(f"{name}: ok")
    return not findings


def _classrooms(paths: list[str], site_files: list[str], *, values: bool) -> bool:
    classrooms = read_checked(paths)
    if classrooms is None:
        return False
    if site_files:
        from federation.runtime.settings_files import load_site  # noqa: PLC0415

        sites = {}
        for path in site_files:
            site = load_site(Path(path))
            capacity = site.spec.capacity
            sites[site.name] = (capacity.cpu.millis, capacity.memory.bytes) if capacity else (0, 0)
        findings = [f for c in classrooms for f in check_against(c.value, sites, c.positions, c.file)]
        for finding in findings:
            output.say(str(finding))
        if findings:
            return False
    for classroom in classrooms:
        output.data(_values(classroom.value) if values else f"{classroom.value.name}: ok")
    return True


def _values(classroom: Classroom) -> str:
    """As a document of YAML. What a site decides is what a cluster without marks gets; the uid is drawn at the first
    place."""
    import yaml  # noqa: PLC0415 - fedctl starts without it

    from federation.core.chart_values.row import Given  # noqa: PLC0415
    from federation.core.chart_values.table import values_of  # noqa: PLC0415

    values = values_of(Given(classroom, f"{classroom.name}-000000"))
    return f"---\n# {classroom.name}\n{yaml.safe_dump(values, sort_keys=False, allow_unicode=True)}".rstrip()
