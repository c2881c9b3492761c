"""The demo's outage: everything at the class's site dies, the class comes back at the other one, with the notebook."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOOK_S = 0.2


@dataclass(frozen=True)
class Watched:
    """A class as fedctl shows it."""

    fedctl: Path
    env: Mapping[str, str]
    name: str

    def hub(self) -> dict[str, Any]:
        """Its document; empty while nobody answers."""
        words = [self.fedctl, "get", self.name, "-o", "json"]
        done = subprocess.run(words, env=dict(self.env), capture_output=True, text=True, check=False)
        body = json.loads(done.stdout) if done.returncode == 0 else {}
        assert isinstance(body, dict)
        return body

    def conditions(self) -> dict[str, dict[str, str]]:
        """All its conditions by their type; none while nobody answers."""
        return {c["type"]: c for c in self.hub().get("status", {}).get("conditions", [])}

    def wait(self, true: Callable[[], bool], what: str, limit_s: float) -> None:
        """Until it is so; SystemExit with the last state if that takes too long."""
        deadline = time.monotonic() + limit_s
        while not true():
            if time.monotonic() > deadline:
                raise SystemExit(f"demo: not within {limit_s:.0f} s: {what}\n{json.dumps(self.hub(), indent=1)}")
            time.sleep(LOOK_S)

    def has_copy_since(self, moment: datetime) -> bool:
        """Whether a copy of its homes began after `moment`, and the class may be moved by it."""
        said = self.conditions()
        if said.get("DataFresh", {}).get("status") != "True" or said.get("Protected", {}).get("status") != "True":
            return False
        taken = said["DataFresh"]["message"].partition(" as of ")[2].partition(" UTC")[0]
        return datetime.strptime(taken, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) > moment

    def serves_at(self, site: str) -> bool:
        """Whether it serves there, under its name. One look: fedctl's own start must not slow what is watched."""
        status = self.hub().get("status", {})
        said = {c["type"]: c["status"] for c in status.get("conditions", [])}
        return status.get("site") == site and said.get("Serving") == said.get("NameConverged") == "True"

    def timeline(self, killed: datetime) -> str:
        """What the federation did about the outage, in seconds since the site died."""
        words = {
            "admitted": "detected, and fenced for sure",
            "owned": "the other site owns it",
            "started": "homes restored, hub started",
            "verified": "login page seen from outside",
            "named": "name leads there",
        }
        lines = []
        for step in self.hub()["status"]["operation"]["history"]:
            if step["step"] in words:
                at = datetime.fromisoformat(step["at"])
                lines.append(f"  {(at - killed).total_seconds():6.1f} s  {words[step['step']]}: {step['message']}")
        return "\n".join(lines)
