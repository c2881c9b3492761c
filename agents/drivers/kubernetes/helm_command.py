"""Runs one Helm: pyhelm3's words for it, without a shell, under a limit, and nothing of it is left afterwards
(docs/adr/0029)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyhelm3 import Command

from agents.drivers.kubernetes.helm_words import Trouble, failed, failure
from federation.model.errors import DeadlineExceeded, Unavailable
from federation.runtime.command import ask_command
from federation.runtime.processes import inherited

GRACE_S = 5.0  # asked to end, Helm writes into the release that it did not succeed
MOST_BYTES = 64 * 1024 * 1024  # a release as JSON has the chart and all that it made in it
OWN_LIMIT = 0.8  # of ours: what Helm itself waits for, so that it is Helm that ends it and says why


@dataclass(frozen=True, slots=True)
class HelmPlace:
    """Which Helm, for which cluster. Everything that it keeps for itself is below `home`: nothing of a user's own is read
    or written."""

    program: Path
    kubeconfig: Path
    home: Path
    marks: Mapping[str, str] = field(default_factory=dict)

    def environment(self, marks: Mapping[str, str]) -> dict[str, str]:
        """The whole of it."""
        own = {f"HELM_{what.upper()}_HOME": str(self.home / what) for what in ("cache", "config", "data")}
        homes = {"HOME": str(self.home), "KUBECACHEDIR": str(self.home / "kube"), **own}
        return {**inherited(), **self.marks, **marks, **homes}


class HelmCommand(Command):  # type: ignore[misc] # pyhelm3 says nothing of its types to others
    """One call of Helm, named by `what` in its error. Values go over standard input, as pyhelm3 has it."""

    def __init__(self, place: HelmPlace, what: str, limit_s: float, marks: Mapping[str, str]) -> None:
        super().__init__(default_timeout=f"{max(1, int(limit_s * OWN_LIMIT))}s")
        self._place, self._what, self._limit_s, self._marks = place, what, limit_s, marks

    async def run(self, command: list[Any], input: bytes | None = None) -> bytes:  # noqa: A002 - pyhelm3's word
        """Every call of pyhelm3 comes here. Raises HelmFailed."""
        place, given = self._place, input or b""
        place.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        words = [str(place.program), *map(str, command), "--kubeconfig", str(place.kubeconfig)]
        try:
            answer = await ask_command(
                tuple(words), given, place.environment(self._marks),
                limit_s=self._limit_s, grace_s=GRACE_S, most_bytes=MOST_BYTES,
            )  # fmt: skip
        except Unavailable as error:
            raise failed(self._what, Trouble.NO_PROGRAM, error.message) from error
        except DeadlineExceeded as error:
            raise failed(self._what, Trouble.SLOW, f"{self._limit_s:g} s") from error
        if answer.code:
            raise failure(self._what, answer, given)
        return answer.out
