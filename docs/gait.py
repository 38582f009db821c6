# SPDX-License-Identifier: Apache-2.0
"""Draw what a walk looks like to the rule ``gait``: an SVG file beside this one.

``python docs/gait.py`` writes, ``python docs/gait.py --check`` only compares. Who walks is a person of the tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "test"))

from scenes.choreography import Do, clip, perform  # noqa: E402

from pose_ros.core.poses import LEFT  # noqa: E402
from pose_ros.recognisers.gait import Gait  # noqa: E402

_WIDTH, _HEIGHT, _LEFT, _TOP = 860, 250, 60, 34
_COLORS = {"left": "#0072b2", "right": "#d55e00"}
_SIGNS = {"foot_contact": "contact", "foot_off": "off"}


def picture() -> str:
    """Return heels before the hips over time, and the events that are told."""
    rule, play = Gait(), perform(Do("walk", 6, speed_mps=1.2), Do("stand", 1), place=(-3.5, 0))
    seen = clip([play], 5.0, takes=rule.takes, steps=rule.steps, step_s=rule.step_s, skeleton="halpe26", sigma_m=0.01)
    index, points = seen.skeleton.index, seen.points[0] @ np.array([0.0, 0.0, -1.0])
    times = seen.times - seen.times[0]

    def at(time: float, metres: float) -> str:
        return f"{_LEFT + (_WIDTH - _LEFT - 20) * time / rule.window_s:.0f},{_TOP + 85 - 150 * metres:.0f}"

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
             f'height="{_HEIGHT}" font-family="sans-serif" font-size="11" fill="#202020">',
             '<rect width="100%" height="100%" fill="#fff"/>']  # fmt: skip
    for metres in (-0.4, 0.0, 0.4):
        lines.append(f'<polyline points="{at(0, metres)} {at(rule.window_s, metres)}" stroke="#d0d0d0"/>')
        lines.append(f'<text x="8" y="{at(0, metres).split(",")[1]}">{metres:+.1f} m</text>')
    for second in range(int(rule.window_s) + 1):
        x = at(second, 0).split(",")[0]
        lines.append(f'<text x="{x}" y="{_HEIGHT - 8}" text-anchor="middle">{second} s</text>')
    before = {side: points[:, index[f"{side}_heel"]] - points[:, index["hips"]] for side in _COLORS}
    for x, (side, color) in zip((_LEFT, _LEFT + 260), _COLORS.items(), strict=True):
        path = " ".join(at(t, d) for t, d in zip(times, before[side], strict=True))
        lines.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        lines.append(f'<text x="{x}" y="18" fill="{color}">{side} heel before the hips; ● contact, ○ off</text>')
    for event in rule.see(seen):
        if event.name in _SIGNS and event.onset_ns is not None:
            side = "left" if event.side == LEFT else "right"
            time = (event.onset_ns - int(seen.stamps_ns[0])) * 1e-9
            x, y = at(time, float(np.interp(time, times, before[side]))).split(",")
            fill = _COLORS[side] if event.name == "foot_contact" else "#fff"
            lines.append(f'<circle cx="{x}" cy="{y}" r="5" fill="{fill}" stroke="{_COLORS[side]}" stroke-width="1.5"/>')
    return "\n".join([*lines, "</svg>", ""])


def main() -> int:
    """Write or compare the picture; 1 when it differs."""
    path, drawn = FOLDER / "gait.svg", picture()
    stale = not path.exists() or path.read_text("utf-8") != drawn
    if stale and "--check" not in sys.argv:
        path.write_text(drawn, encoding="utf-8")
    if stale:
        print(("out of date: " if "--check" in sys.argv else "written: ") + path.name)
    return int(stale and "--check" in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
