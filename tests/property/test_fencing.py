"""For any sequence of files: no standing hub is ever condemned, no armed one outlives its newest accepted deadline."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from federation.core.fencing import Fence, Reading

HUBS = ("a", "b", "c")
LONGEST = 50

entry = st.one_of(st.none(), st.integers(0, 120))  # None: standing; else stop_by
hubs = st.dictionaries(st.sampled_from(HUBS), entry, max_size=3)
order = st.tuples(st.integers(0, 3), st.integers(0, 5))


def encode(order: tuple[int, int], hubs: dict[str, int | None], boot: str) -> bytes:
    entries = {hub: {"epoch": [1, 1], "close_at": at, "stop_by": at} for hub, at in hubs.items()}
    return json.dumps({"boot_id": boot, "incarnation": order[0], "seq": order[1], "hubs": entries}).encode()


content = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.builds(encode, order, hubs, st.sampled_from(["boot", "boot", "boot", "other"])),
)
step = st.tuples(st.integers(0, 20), content)


@given(st.lists(step, max_size=12))
def test_standing_hubs_are_safe_and_armed_ones_end(steps: list[tuple[int, bytes | None]]) -> None:
    fence, now = Fence("boot", LONGEST, 0), 0
    newest: dict[str, int | None] = {}  # what the newest accepted file that named the hub said
    listed: set[str] = set()
    for passed, file in steps:
        now += passed
        if fence.take(file, now) is Reading.ACCEPTED:
            assert file is not None
            named = {hub: at["stop_by"] for hub, at in json.loads(file)["hubs"].items()}
            for hub in listed - named.keys():
                if newest[hub] is None:
                    del newest[hub]  # a standing hub that left is the agent's business
            newest.update(named)
            listed = {*named}
        for moment in (now, now + LONGEST):
            verdict = fence.verdict(moment)
            due = {hub for hub, at in newest.items() if at is not None and at <= moment}
            assert set(verdict.hubs) == due
            assert verdict.every_hub is False or not newest
