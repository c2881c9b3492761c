"""What outages have cost so far: one line for each, kept beside the page. Thirty of each kind take longer than a machine is
quiet at a time, so a measurement adds to what earlier ones have seen, and the page says of how many sittings it is made."""

from __future__ import annotations

import fcntl
import json
import subprocess
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.outages import Loss

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs/outages.jsonl"


@dataclass(frozen=True, slots=True)
class Sitting:
    """One measurement: `began` in UTC, of which commit."""

    began: str
    commit: str

    @classmethod
    def now(cls) -> Sitting:
        words = ["git", "-C", str(ROOT), "rev-parse", "--short=10", "HEAD"]
        commit = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
        return cls(f"{datetime.now(UTC):%Y-%m-%dT%H:%M}", commit or "unknown")


@dataclass(frozen=True, slots=True)
class Seen:
    """One outage, or one turn of planned moves, and what each of its classes lost."""

    kind: str
    sitting: Sitting
    losses: tuple[Loss, ...]

    def write(self, file: Path = FILE) -> None:
        """At its end; two may write at the same time."""
        with file.open("a") as lines:
            fcntl.flock(lines, fcntl.LOCK_EX)
            lines.write(json.dumps(_to_the_ms(asdict(self)), separators=(",", ":")) + "\n")


def _to_the_ms(value: Any) -> Any:
    """No clock here is better than that."""
    if isinstance(value, dict):
        return {key: _to_the_ms(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_to_the_ms(one) for one in value]
    return round(value, 3) if isinstance(value, float) else value


def read(file: Path = FILE) -> list[Seen]:
    """Everything that was kept. Delete the file to begin anew, e.g. where the code has changed what is measured."""
    text = file.read_text() if file.exists() else ""
    found = []
    for line in text.splitlines():
        body = json.loads(line)
        losses = tuple(Loss(**loss) for loss in body["losses"])
        found.append(Seen(body["kind"], Sitting(**body["sitting"]), losses))
    return found


def sittings(seen: Iterable[Seen]) -> str:
    """For the page."""
    each = sorted({(one.sitting.began, one.sitting.commit) for one in seen})
    said = ", ".join(f"{began.replace('T', ' ')} UTC at `{commit}`" for began, commit in each)
    return f"Seen in {len(each)} sitting{'s' if len(each) > 1 else ''}: {said}."
