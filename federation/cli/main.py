"""fedctl's entry point: a table of verbs, each loaded only when it is used, so that `--help` is quick (docs/adr/0004).

Errors become one sentence, what to do, and an exit code; a traceback is shown with --debug only.
"""

from __future__ import annotations

import argparse
import importlib
import sys

VERBS: dict[str, tuple[str, str]] = {
    "check": ("check", "check files without a coordinator; every error with line and column"),
    "place": ("place", "place classrooms, or apply changed files, and wait until they serve"),
    "plan": ("plan", "show where a classroom would go and what a changed file would change"),
    "get": ("get", "list classrooms, or show some"),
    "describe": ("describe", "everything about one classroom, with reasons"),
    "events": ("events", "what happened, when and by whom"),
    "watch": ("watch", "follow classrooms as they change"),
    "logs": ("logs", "the log of a hub or of a student's server"),
    "secret": ("secret", "set, list and remove secrets; values are sealed to the sites"),
    "retire": ("retire", "end a classroom; its homes are kept"),
    "restore": ("restore", "undo a retire"),
    "move": ("move", "move a classroom to another site, with everything in it"),
    "drain": ("drain", "empty a site: move its classrooms away, place nothing new there"),
    "uncordon": ("uncordon", "open a site again"),
    "failover": ("failover", "bring classrooms of a dead site up elsewhere, by your word that it is dead"),
    "homes": ("homes", "list the copies of homes, or give a student back what was lost"),
    "drill": ("drill", "rehearse a failover, there and back, and keep what it would have cost"),
    "pause": ("pause", "switch automatic moves off, with a reason"),
    "resume": ("resume", "switch automatic moves on again"),
    "register": ("register", "is the register the one that was known; make it anew from what the sites hold"),
    "hooks": ("hooks", "list those who are told what happens by itself, and try them"),
    "sites": ("sites", "list sites, or join one"),
    "charts": ("charts", "fetch the upstream charts for clusters, and say whether a folder has them"),
    "context": ("context", "list, add and choose the federation that fedctl talks to"),
    "pki": ("pki", "make the certificates of a federation of several hosts"),
    "up": ("up", "start a whole federation on this machine"),
    "down": ("down", "stop the federation on this machine"),
    "lab": ("lab", "kill, freeze and heal a site of the federation on this machine"),
    "doctor": ("doctor", "say what is well and what is not"),
    "version": ("version", "versions of fedctl, coordinators and register"),
    "completion": ("completion", "print the shell's completion script"),
}
HELP_COLUMN = 12


def main() -> int:
    """Run one verb; returns the exit code."""
    arguments = sys.argv[1:]
    if "_ARGCOMPLETE" in __import__("os").environ:
        from federation.cli.completion import complete  # noqa: PLC0415

        complete(VERBS)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        return unknown(verb)
    return run(verb, arguments[1:])


def run(verb: str, words: list[str]) -> int:
    """Load the verb's module, read its arguments, do it."""
    module = importlib.import_module(f"federation.cli.verbs.{VERBS[verb][0]}")
    parser = argparse.ArgumentParser(
        prog=f"fedctl {verb}", description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--context", help="which federation; default: $FEDCTL_CONTEXT, else the current one")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    module.configure(parser)
    arguments = parser.parse_args(words)
    from federation.model.errors import CATALOGUE, FederationError  # noqa: PLC0415

    try:
        return int(module.run(arguments))
    except FederationError as error:
        if arguments.debug:
            raise
        sys.stderr.write(f"error: {error.message}\n{error.help}\n" if error.help else f"error: {error.message}\n")
        return int(CATALOGUE[error.code].exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130
    except BrokenPipeError:
        return 141


def overview() -> str:
    """The first help page."""
    verbs = "\n".join(f"  {verb.ljust(HELP_COLUMN)}{text}" for verb, (_module, text) in VERBS.items())
    return (
        "fedctl: classroom JupyterHubs on several sites\n\n"
        "usage: fedctl VERB [arguments]        fedctl VERB --help teaches each verb\n\n"
        f"{verbs}\n\n"
        "first steps:\n"
        "  fedctl up                             a federation on this machine\n"
        "  fedctl place classroom.yaml           a class that students can use\n"
        "  fedctl get                            what is there\n"
    )


def unknown(verb: str) -> int:
    """Say which verb was probably meant."""
    import difflib  # noqa: PLC0415

    near = difflib.get_close_matches(verb, VERBS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    sys.stderr.write(f"error: no verb {verb!r}{hint}\n`fedctl --help` lists all.\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
