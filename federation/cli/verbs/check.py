"""Check classroom files without a coordinator. Every error is shown as FILE:LINE:COLUMN with what is allowed.

fedctl check *.yaml
fedctl check atm101.yaml --sites sites/*.yaml      also against what these sites hold
"""

from __future__ import annotations

import argparse

from federation.cli import output
from federation.cli.files import read_checked
from federation.model.errors import ExitCode
from federation.model.files.check import check_against


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("files", nargs="+", metavar="FILE", help="classroom files")
    parser.add_argument("--sites", nargs="+", default=[], metavar="FILE", help="site files to check against")


def run(arguments: argparse.Namespace) -> int:
    """Check."""
    classrooms = read_checked(arguments.files)
    if classrooms is None:
        return ExitCode.BAD_INPUT
    if arguments.sites:
        from pathlib import Path  # noqa: PLC0415

        from federation.runtime.settings_files import load_site  # noqa: PLC0415

        sites = {}
        for path in arguments.sites:
            site = load_site(Path(path))
            capacity = site.spec.capacity
            sites[site.name] = (capacity.cpu.millis, capacity.memory.bytes) if capacity else (0, 0)
        findings = [f for c in classrooms for f in check_against(c.value, sites, c.positions, c.file)]
        for finding in findings:
            output.say(str(finding))
        if findings:
            return ExitCode.BAD_INPUT
    for classroom in classrooms:
        output.data(f"{classroom.value.name}: ok")
    return ExitCode.OK
