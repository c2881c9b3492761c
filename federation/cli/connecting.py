"""A client for the chosen context, closed in any case."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from federation.cli.client import Client
from federation.cli.contexts import choose_context


@contextmanager
def connected(arguments: argparse.Namespace) -> Iterator[Client]:
    """`with connected(arguments) as client`."""
    client = Client(choose_context(arguments.context))
    try:
        yield client
    finally:
        client.close()


def add_document_output(parser: argparse.ArgumentParser) -> None:
    """-o, for what has no names and no wide form."""
    parser.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="table", help="form of the answer")


def add_output(parser: argparse.ArgumentParser) -> None:
    """-o, as every reading verb has it."""
    parser.add_argument(
        "-o", "--output", choices=("table", "wide", "json", "yaml", "name"), default="table", help="form of the answer"
    )
