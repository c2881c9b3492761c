"""Enforces the NetworkPolicies of a cluster with one node, on that node's host.

    python -m tests.testbed.policies KUBECONFIG NFT
The networks of real sites do this themselves; the one of the testbed is routed links and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
import time
from http.client import HTTPException
from pathlib import Path

from tests.testbed.api import Api, Refused
from tests.testbed.credentials import client
from tests.testbed.policy_rules import Seen, ruleset

LOOK_S = 0.3


def look(api: Api) -> Seen:
    """All that rules are made of."""
    return Seen(
        namespaces=api.items("/api/v1/namespaces"),
        pods=api.items("/api/v1/pods"),
        policies=api.items("/apis/networking.k8s.io/v1/networkpolicies"),
    )


def main(kubeconfig: Path, nft: Path) -> None:
    api, loaded = client(kubeconfig), ""
    while True:
        try:
            wanted = ruleset(look(api))
            if wanted != loaded:
                subprocess.run([str(nft), "-f", "-"], input=wanted, text=True, check=True, timeout=20)
                loaded = wanted
        except (OSError, HTTPException, Refused, subprocess.SubprocessError) as error:  # what was loaded stays
            print(error, flush=True)
        time.sleep(LOOK_S)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
