# SPDX-License-Identifier: Apache-2.0
"""Draw what frames and angles of bodies and hands mean: SVG files in ``docs/frames``.

``python docs/frames.py`` writes, ``python docs/frames.py --check`` only compares. Bodies are those of the tests, put
together by angles; axes and numbers are what :func:`pose_ros.anatomy.describe.described` says of their points.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "test" / "anatomy"))

import isb  # noqa: E402

from pose_ros.anatomy.describe import described  # noqa: E402
from pose_ros.core import quaternion  # noqa: E402

_INK, _GREY, _NEAR, _FAR = "#202020", "#c0c0c0", "#0072b2", "#d55e00"
_AXES = ("#d00000", "#008000", "#0050ff")
#: Rows: what points to the right and up in a picture, in axes of the body.
_VIEWS = {
    "from the right": np.array([[1, 0, 0], [0, 0, 1.0]]),
    "from the front": np.array([[0, 1, 0], [0, 0, 1.0]]),
    "from above": np.array([[0, -1, 0], [1, 0, 0.0]]),
}
_BONES = (
    ("mid_hip", "h36m_spine"), ("h36m_spine", "neck"), ("right_hip", "left_hip"), ("right_shoulder", "left_shoulder"),
    ("right_ear", "left_ear"), ("neck", "nose"), ("right_ear", "nose"), ("left_ear", "nose"),
    *((f"{side}_{a}", f"{side}_{b}") for side in ("left", "right") for a, b in (
        ("hip", "knee"), ("knee", "ankle"), ("ankle", "heel"), ("heel", "big_toe"), ("heel", "small_toe"),
        ("big_toe", "small_toe"), ("shoulder", "elbow"), ("elbow", "wrist"), ("wrist", "hand/forefinger1"),
        ("wrist", "hand/pinky_finger1"), ("hand/forefinger1", "hand/pinky_finger1"), ("wrist", "hand/thumb2"),
        ("hand/thumb2", "hand/thumb4"), ("hand/forefinger1", "hand/forefinger4"))),
)  # fmt: skip
_UP, _BENT_ELBOW = {"right_shoulder_elevation": 90.0}, {"right_elbow_flexion": 90.0}
#: Angle, degrees, where it is seen from, what else is bent, and the joint in the middle of the picture: all if none.
_PANELS = (
    ("trunk_flexion", 40, "from the right", {}, ""), ("trunk_bending", 25, "from the front", {}, ""),
    ("trunk_rotation", 35, "from above", {}, "neck"), ("neck_flexion", 35, "from the right", {}, "neck"),
    ("neck_bending", 25, "from the front", {}, "neck"), ("neck_rotation", 40, "from above", {}, "neck"),
    ("hip_flexion", 50, "from the right", {}, ""), ("hip_adduction", 25, "from the front", {}, ""),
    ("hip_rotation", 30, "from the front", {"right_knee_flexion": 90.0}, ""),
    ("knee_flexion", 60, "from the right", {}, ""), ("ankle_dorsiflexion", 20, "from the right", {}, "right_ankle"),
    ("ankle_inversion", 25, "from the front", {}, "right_ankle"),
    ("ankle_rotation", 30, "from above", {"right_knee_flexion": 30.0, "right_ankle_dorsiflexion": 30.0}, "right_ankle"),
    ("shoulder_elevation", 60, "from the front", {}, ""), ("shoulder_plane", 60, "from above", _UP, "right_shoulder"),
    ("shoulder_rotation", 45, "from the right", {**_UP, **_BENT_ELBOW}, "right_shoulder"),
    ("elbow_flexion", 80, "from the right", {}, ""),
    ("forearm_pronation", 60, "from the front", _BENT_ELBOW, "right_wrist"),
    ("wrist_flexion", 45, "from the right", {}, "right_wrist"),
    ("wrist_deviation", 30, "from the front", {}, "right_wrist"),
)  # fmt: skip
_SIZE, _CLOSE = (190, 215), {"neck": 0.33, "right_shoulder": 0.5}


def _line(a: np.ndarray, b: np.ndarray, color: str, width: float) -> str:
    return (f'<path d="M{a[0]:.1f} {a[1]:.1f}L{b[0]:.1f} {b[1]:.1f}" stroke="{color}" stroke-width="{width:g}" '
            'stroke-linecap="round"/>')  # fmt: skip


def _figure(
    points: Mapping[str, np.ndarray], view: np.ndarray, scale: float, at: np.ndarray, color: str, box: Sequence[float]
) -> list[str]:
    """Return one path for each colour, of the bones that reach into a box (x, y, width, height)."""
    xy = {name: at + scale * np.array([1, -1]) * (view @ point) for name, point in points.items()}
    paths: dict[str, str] = {}
    for a, b in _BONES:
        low, high = np.minimum(xy[a], xy[b]), np.maximum(xy[a], xy[b])
        if (high < box[:2]).any() or (low > np.add(box[:2], box[2:])).any():
            continue
        side = a.partition("_")[0]
        own = color or ({"left": _FAR, "right": _NEAR}.get(side, _INK) if b.startswith(side) else _INK)
        path = f"M{xy[a][0]:.0f} {xy[a][1]:.0f}L{xy[b][0]:.0f} {xy[b][1]:.0f}"
        paths[own] = paths.get(own, "") + path
    return [f'<path d="{path}" stroke="{own}" stroke-width="2" fill="none" stroke-linecap="round"/>'
            for own, path in paths.items()]  # fmt: skip


def _svg(lines: Sequence[str], width: float, height: float) -> str:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="#fff"/>', *lines, "</svg>", ""])


def _text(x: float, y: float, words: str, size: float = 11, anchor: str = "middle", color: str = _INK) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size:g}" text-anchor="{anchor}" fill="{color}">{words}</text>'


def segments() -> str:
    """Return the picture of a body with the axes of its segments."""
    body = isb.build(isb.STANDING | {
        "right_hip_flexion": 35, "right_knee_flexion": 60, "left_shoulder_elevation": 75, "left_shoulder_plane": 20,
        "left_elbow_flexion": 50, "left_forearm_pronation": 80, "right_shoulder_elevation": 25,
    })[0]  # fmt: skip
    found = described(isb.poses("wholebody133", body), None)
    # Half from the front, half from the left, a little from above.
    yaw, pitch = np.deg2rad(40), np.deg2rad(15)
    right = np.array([-np.sin(yaw), np.cos(yaw), 0])
    towards = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    view = np.stack([right, np.cross(towards, right)])
    scale, at = 420.0, np.array([290.0, 340.0])
    lines = _figure(body, view, scale, at, _GREY, (0, 0, 640, 740))
    assert found.frames is not None
    for name, frame in zip(found.skeleton.frames, found.frames[0].astype(float), strict=True):
        if not np.isfinite(frame).all():
            continue
        origin = at + scale * np.array([1, -1]) * (view @ frame[:3])
        length = 0.045 if name.endswith(("hand", "pinch")) else 0.09
        axes = quaternion.to_matrices(frame[3:])
        for axis in np.argsort(towards @ axes):
            tip = at + scale * np.array([1, -1]) * (view @ (frame[:3] + length * axes[:, axis]))
            lines.append(_line(origin, tip, _AXES[axis], 2.5))
        beside = -36 if name.startswith("right") else {"torso": -26, "body": -4}.get(name, 36)
        below = 16 if name.endswith("pinch") or name in ("body", "torso") else 4
        lines.append(_text(origin[0] + beside, origin[1] + below, name, 11, "end" if beside < 0 else "start"))
    for axis, (name, color) in enumerate(zip("xyz", _AXES, strict=True)):
        lines += [_line(np.array([20, 24 + 16 * axis]), np.array([44, 24 + 16 * axis]), color, 2.5),
                  _text(50, 28 + 16 * axis, name, 11, "start")]  # fmt: skip
    return _svg(lines, 640, 740)


def angles() -> str:
    """Return pictures of every angle: grey at 0, in colour at a positive one."""
    width, height = _SIZE
    lines = []
    for number, (name, degrees, seen, bent, middle) in enumerate(_PANELS):
        left, top = width * (number % 5), height * (number // 5)
        full = name if name.partition("_")[0] in ("trunk", "neck") else f"right_{name}"
        still, moved = (isb.STANDING | bent | {full: value} for value in (0.0, float(degrees)))
        joint = 0.2 if full == "trunk_flexion" else 0.0
        bodies = [isb.build(pose, spine_m=joint)[0] for pose in (still, moved)]
        measures = described(isb.poses("h36m17" if joint else "wholebody133", bodies[1]), None)
        assert measures.measures is not None
        value = np.rad2deg(measures.measures[0, measures.skeleton.measures.index(full)])
        view, reach = _VIEWS[seen], _CLOSE.get(middle, 0.2) if middle else 0.86
        centre = bodies[1][middle] if middle else np.array([0, 0, -0.12])
        scale = 75 / reach
        at = np.array([left + width / 2, top + 112]) - scale * np.array([1, -1]) * (view @ centre)
        box = (left + 4, top + 34, width - 8, height - 40)
        place = "".join(f' {key}="{size}"' for key, size in zip(("x", "y", "width", "height"), box, strict=True))
        lines += [f'<clipPath id="p{number}"><rect{place}/></clipPath><g clip-path="url(#p{number})">',
                  *_figure(bodies[0], view, scale, at, _GREY, box), *_figure(bodies[1], view, scale, at, "", box),
                  "</g>"]  # fmt: skip
        lines += [_text(left + width / 2, top + 14, f"{name} {value:+.0f}°"),
                  _text(left + width / 2, top + 28, seen, 9, color="#707070")]  # fmt: skip
    return _svg(lines, 5 * width, height * -(-len(_PANELS) // 5))


def main() -> int:
    """Write or compare both pictures; 1 when one differs."""
    folder, check = FOLDER / "frames", "--check" in sys.argv
    folder.mkdir(exist_ok=True)
    drawn = {"segments.svg": segments(), "angles.svg": angles()}
    stale = [n for n, text in drawn.items() if not (folder / n).exists() or (folder / n).read_text("utf-8") != text]
    for name in () if check else stale:
        (folder / name).write_text(drawn[name], encoding="utf-8")
    if stale:
        print(("out of date: " if check else "written: ") + ", ".join(stale))
    return int(bool(stale) and check)


if __name__ == "__main__":
    sys.exit(main())
