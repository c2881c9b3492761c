"""Which hubs let nobody new in, and for how long: a drain that nobody leads any more comes to an end (ADR 0025)."""

from __future__ import annotations

from federation.api.v1 import agent_pb2
from federation.runtime.clock import Clock


class Drains:
    """Counts from when this agent first heard of a drain; one that was restarted counts anew."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_mono: dict[str, tuple[str, float]] = {}  # hub -> the operation that drains it, and since when

    def notice(self, directive: agent_pb2.WantedHub) -> str:
        """What students of a draining hub are told; empty: it does not drain, or has for longer than a move takes. Then
        all coordinators were away at its end, and a class that turns students away for a move that does not come
        would do so until one is back."""
        if not directive.notice:
            self._since_mono.pop(directive.hub, None)
            return ""
        known, now_mono = self._since_mono.get(directive.hub), self._clock.mono()
        if known is None or known[0] != directive.operation:
            known = self._since_mono[directive.hub] = (directive.operation, now_mono)
        over = directive.drain_limit_s and now_mono - known[1] >= directive.drain_limit_s
        return "" if over else directive.notice
