"""Print the shell's completion script; names of classrooms and sites are completed too.

source <(fedctl completion bash)
"""

from __future__ import annotations

import argparse

from federation.cli import output
from federation.model.errors import ExitCode


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), nargs="?", default="bash")


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    import argcomplete  # noqa: PLC0415 - slow to import, and only here

    # where fedctl has nothing to offer, the shell's own offer would be files
    output.data(argcomplete.shellcode(["fedctl"], use_defaults=False, shell=arguments.shell))
    return ExitCode.OK
