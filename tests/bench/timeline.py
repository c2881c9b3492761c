"""The picture of an outage: a row per kind of fault, a bar per part of the time, drawn to scale."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from federation.model.profile import Profile

PARTS = {
    "admitted": ("waiting for the lease", "#b8c4d0"),
    "owned": ("waiting for a turn", "#e3c77b"),
    "started": ("homes restored, hub started", "#7fb2a0"),
    "verified": ("login page seen", "#4f8a76"),
    "named": ("name leads there", "#2f5d50"),
}
LEFT, ROW, BAR, TOP, SCALE = 270, 34, 20, 64, 22
BELOW = 56


def timeline(rows: Mapping[str, Mapping[str, float]], profile: Profile) -> str:
    """SVG. `rows`: words for a fault -> seconds after it until each step (a key of `PARTS`) was done."""
    longest = max((max(steps.values()) for steps in rows.values() if steps), default=0.0)
    width, height = LEFT + SCALE * (longest + 4), TOP + ROW * len(rows) + BELOW
    view = f'viewBox="0 0 {width:.0f} {height}" font-family="sans-serif" font-size="13" role="img"'
    text = [f'<svg xmlns="http://www.w3.org/2000/svg" {view}>']
    text.append(f'<rect width="{width:.0f}" height="{height}" fill="#fff"/>')
    for n, (words, colour) in enumerate(PARTS.values()):
        x, y = 12.0 + (n % 3) * 230, 14 + (n // 3) * 20
        text.append(f'<rect x="{x:g}" y="{y}" width="12" height="12" fill="{colour}"/>')
        text.append(f'<text x="{x + 18:g}" y="{y + 11}">{escape(words)}</text>')
    for n, (fault, steps) in enumerate(rows.items()):
        y, at = TOP + n * ROW, 0.0
        text.append(f'<text x="12" y="{y + 15}">{escape(fault)}</text>')
        for step, (_words, colour) in PARTS.items():
            if step in steps:
                begin, at = at, max(at, steps[step])
                x, w = LEFT + SCALE * begin, SCALE * (at - begin)
                text.append(f'<rect x="{x:.1f}" y="{y}" width="{w:.1f}" height="{BAR}" fill="{colour}"/>')
        text.append(f'<text x="{LEFT + SCALE * at + 6:.1f}" y="{y + 15}">{at:.1f} s</text>')
    bottom = TOP + ROW * len(rows)
    marks = {"D": profile.contact_s, "D+F": profile.contact_s + profile.fence_s, "L": profile.takeover_s}
    for name, seconds in marks.items():
        x = LEFT + SCALE * seconds
        text.append(f'<line x1="{x}" y1="{TOP - 4}" x2="{x}" y2="{bottom}" stroke="#a33" stroke-dasharray="3 3"/>')
        text.append(f'<text x="{x}" y="{bottom + 14}" fill="#a33" text-anchor="middle">{name}</text>')
    words = "seconds after the fault; D: the gate is closed, D+F: the hub is stopped, L: the lease is over"
    text += [f'<text x="{LEFT}" y="{bottom + 36}">{words}</text>', "</svg>"]
    return "\n".join(text) + "\n"
