"""How quick fedctl is, beside the least that could do the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tests.bench.side_by_side import in_turns, verdict

FEDCTL = str(Path(sys.executable).parent / "fedctl")
RUNS = 15

BARE_CLIENT = """
import json, sys
import grpc
from federation.api.v1 import control_pb2, control_pb2_grpc
body = json.load(open(sys.argv[1]))
context = body["contexts"][body["current"]]
read = lambda name: open(context[name], "rb").read()
credentials = grpc.ssl_channel_credentials(read("ca"), read("key"), read("cert"))
with grpc.secure_channel(context["coordinators"][0], credentials) as channel:
    answer = control_pb2_grpc.ControlServiceStub(channel).List(control_pb2.ListRequest(), timeout=10)
    for hub in answer.items:
        print(hub.metadata.name, hub.status.site, hub.status.phase)
"""


def help_page() -> list[str]:
    """`fedctl --help` beside an empty Python."""
    pages, nothing = in_turns([[FEDCTL, "--help"], [sys.executable, "-c", "pass"]], RUNS)
    ratio = pages.median / nothing.median
    return [
        "| | median | beside |",
        "| --- | --- | --- |",
        f"| `python -c pass` | {nothing} | 1 |",
        f"| `fedctl --help` | {pages} | {ratio:.1f} x; goal at most 10 x: {verdict(ratio, 10)} |",
    ]


def get_list(config: Path) -> list[str]:
    """`fedctl get` beside a bare gRPC client that does the same call, against a running federation."""
    env = {**os.environ, "XDG_CONFIG_HOME": str(config)}
    bare = [sys.executable, "-c", BARE_CLIENT, str(config / "hubfed/contexts.json")]
    ours, theirs = in_turns([[FEDCTL, "get"], bare], RUNS, env)
    ratio = ours.median / theirs.median
    return [
        "| | median | beside |",
        "| --- | --- | --- |",
        f"| bare Python gRPC client, one `List` | {theirs} | 1 |",
        f"| `fedctl get` | {ours} | {ratio:.2f} x; goal at most 3 x: {verdict(ratio, 3)} |",
    ]
