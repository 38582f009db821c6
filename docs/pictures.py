# SPDX-License-Identifier: Apache-2.0
"""Draw every skeleton, and what becomes of some of them in one another: SVG files in ``docs/skeletons``.

``python docs/pictures.py`` writes, ``python docs/pictures.py --check`` only compares. Where joints are drawn is said in
``layout.yaml``; edges, colours and conversions are those of the code.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import yaml

from pose_ros.core.colors import Color, edge_colors, keypoint_colors
from pose_ros.core.poses import Poses, Source
from pose_ros.core.skeleton import Skeleton
from pose_ros.skeletons import catalogue

FOLDER = Path(__file__).resolve().parent
#: Sets whose conversions into one another are drawn.
NAMED = ("coco17", "mediapipe33", "h36m17", "body25", "halpe26", "hri18")
#: Size of the drawing, without its legend, by the number of keypoints; pixels.
_SIZES = ((24, 300), (45, 380), (110, 640), (10_000, 1000))
#: More keypoints than these are drawn as numbers alone, and named by groups.
_DISCS, _NAMED_EACH = 200, 45
#: Where hands and the face of a whole person are drawn, and by how much they are enlarged, in units of the body.
_PARTS = {"left_hand": ((190, 200), 0.9), "right_hand": ((-190, 200), 0.9), "face": ((0, -270), 0.6)}
_MESH_FACE = ((0, -420), 1.0)
_INK, _GREY, _MARGIN, _ROW = "#202020", "#b0b0b0", 24, 13


@dataclass(frozen=True)
class Drawing:
    """Lines of SVG and the size that they need."""

    lines: list[str]
    width: float
    height: float


def places(skeleton: Skeleton) -> np.ndarray:
    """Return where the keypoints of a skeleton are drawn, (K, 2)."""
    return np.array([_place(joint, len(skeleton)) for joint in skeleton.joints])


def _place(joint: str, k: int) -> np.ndarray:
    block, _, name = joint.rpartition("/")
    if block in ("left_hand", "right_hand"):
        at, scale = _PARTS[block]
        # Hanging down, the back to the front.
        mirror = (1, -1) if block == "left_hand" else (-1, -1)
        return np.array(at) + scale * np.array(_LAYOUT[f"hand/{name}"]) * mirror
    if block == "face" and k > 100 and k not in (106, 468, 478):
        at, scale = _MESH_FACE if k > 500 else _PARTS[block]
        return np.array(at) + scale * np.array(_LAYOUT[joint])
    return np.array(_LAYOUT[joint] if joint in _LAYOUT else _LAYOUT[name], float)


_LAYOUT = yaml.safe_load((FOLDER / "layout.yaml").read_text(encoding="utf-8"))


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _text_on(color: Color) -> str:
    """Return the ink that can be read on a colour."""
    return "#000" if np.dot(color, (0.3, 0.59, 0.11)) > 110 else "#fff"


def figure(poses: Poses, size: float, frame: np.ndarray | None = None) -> Drawing:
    """Draw the first subject of poses: what is made of others as a dashed ring, what is not known in grey.

    Args:
        poses: Of :func:`places`, or converted from them.
        size: Of the longer side of the frame, pixels.
        frame: Points that the drawing has room for; its own keypoints when left out.
    """
    skeleton, xy = poses.skeleton, places(poses.skeleton)
    seen = np.isfinite(poses.keypoints[0]).all(axis=1)
    frame = xy if frame is None else frame
    low, span = frame.min(axis=0), np.ptp(frame, axis=0)
    scale = size / span.max()
    xy = (xy - low) * scale + _MARGIN
    near = np.sort(np.hypot(*(xy[:, None] - xy).transpose(2, 0, 1)), axis=1)[:, 1]
    radius = float(np.clip(np.quantile(near, 0.15) / 2, 3, 8))
    colors, lines = keypoint_colors(skeleton), []
    for color in dict.fromkeys(edge_colors(skeleton)):
        path = "".join(
            f"M{xy[a, 0]:.0f} {xy[a, 1]:.0f}L{xy[b, 0]:.0f} {xy[b, 1]:.0f}"
            for (a, b), c in zip(skeleton.edges, edge_colors(skeleton), strict=True)
            if c == color and seen[a] and seen[b]
        )
        if path:
            look = f'stroke="{_hex(color)}" stroke-width="{max(radius / 3, 1):.1f}" fill="none"'
            lines.append(f'<path d="{path}" {look}/>')
    dense = len(skeleton) > _DISCS
    font = 6 if dense else radius * (1.15 if len(skeleton) <= 100 else 0.95)
    lines.append(f'<g font-size="{font:.1f}" text-anchor="middle">')
    for color in dict.fromkeys(colors):
        group = [i for i in np.flatnonzero(seen) if colors[i] == color]
        if not group:
            continue
        if dense:
            dark = _hex(tuple(int(0.7 * value) for value in color))  # type: ignore[arg-type]
            lines.append(f'<g fill="{dark}">')
            lines += [f'<text x="{xy[i, 0]:.0f}" y="{xy[i, 1] + 2:.0f}">{i}</text>' for i in group]
        else:
            lines.append(f'<g fill="{_text_on(color)}">')
            for i in group:
                lines += _disc(xy[i], radius, _hex(color), i, inferred=poses.sources[0, i] == Source.INFERRED)
        lines.append("</g>")
    lines += [f'<text x="{xy[i, 0]:.1f}" y="{xy[i, 1] + radius * 0.42:.1f}" fill="{_GREY}">{i}</text>'
              for i in np.flatnonzero(~seen)]  # fmt: skip
    lines.append("</g>")
    width, height = span * scale + 2 * _MARGIN
    return Drawing(lines, float(width), float(height))


def _disc(at: np.ndarray, radius: float, color: str, number: int, *, inferred: bool) -> Iterator[str]:
    x, y = at
    look = f'fill="#fff" stroke="{color}" stroke-width="2" stroke-dasharray="3 2"' if inferred else f'fill="{color}"'
    yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" {look}/>'
    ink = f' fill="{_INK}"' if inferred else ""
    yield f'<text x="{x:.1f}" y="{y + radius * 0.42:.1f}"{ink}>{number}</text>'


def _legend(skeleton: Skeleton) -> list[tuple[str, str]]:
    """Return colours and words: each keypoint, or groups of those with a common name."""
    colors = keypoint_colors(skeleton)
    if len(skeleton) <= _NAMED_EACH:
        return [(_hex(colors[i]), f"{i} {name}") for i, name in enumerate(skeleton.keypoints)]
    owners = [joint.rpartition("/")[0] for joint in skeleton.joints]
    # Of what is numbered the joint knows the name.
    stems = [_stem(joint.rpartition("/")[2] if _stem(name) in ("face", "point") else name)
             for name, joint in zip(skeleton.keypoints, skeleton.joints, strict=True)]  # fmt: skip
    mesh = len(skeleton) > _DISCS
    stems = ["vertices" if mesh and owner == "face" else stem for owner, stem in zip(owners, stems, strict=True)]
    owners = [owner if owner not in stem else "" for owner, stem in zip(owners, stems, strict=True)]
    rows, start = [], 0
    for i in range(1, len(skeleton) + 1):
        if i == len(skeleton) or (owners[i], stems[i]) != (owners[start], stems[start]):
            span = str(start) if i == start + 1 else f"{start}-{i - 1}"
            color = _GREY if stems[start] == "vertices" else _hex(colors[start])
            rows.append((color, " ".join(filter(None, (span, owners[start], stems[start])))))
            start = i
    return rows


def _stem(name: str) -> str:
    return re.sub(r"_?[0-9]+$", "", name)


def _svg(drawings: Sequence[tuple[Drawing, float, float]], width: float, height: float) -> str:
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif">',
             '<rect width="100%" height="100%" fill="#fff"/>']  # fmt: skip
    for drawing, x, y in drawings:
        lines += [f'<g transform="translate({x:.0f} {y:.0f})">', *drawing.lines, "</g>"]
    return "\n".join([*lines, "</svg>", ""])


def _words(rows: Sequence[tuple[str, str]], height: float) -> Drawing:
    per_column = max(int((height - _MARGIN) // _ROW), 1)
    column = 22 + 5.6 * max(len(text) for _, text in rows)
    lines = ['<g font-size="10">']
    for i, (color, text) in enumerate(rows):
        x, y = column * (i // per_column), _MARGIN + _ROW * (i % per_column)
        lines.append(f'<rect x="{x:.0f}" y="{y - 8}" width="8" height="8" fill="{color}"/>')
        lines.append(f'<text x="{x + 12:.0f}" y="{y}" fill="{_INK}">{escape(text)}</text>')
    return Drawing([*lines, "</g>"], column * -(-len(rows) // per_column), height)


def _whole(skeleton: Skeleton) -> Poses:
    return Poses(skeleton, places(skeleton)[None], np.ones((1, len(skeleton))))


def skeleton_picture(name: str) -> str:
    """Return the picture of a skeleton with the names of its keypoints."""
    skeleton = catalogue.get(name)
    drawing = figure(_whole(skeleton), next(size for most, size in _SIZES if len(skeleton) <= most))
    rows = _legend(skeleton)
    words = _words(rows, max(drawing.height, min(len(rows), 33) * _ROW + 2 * _MARGIN))
    return _svg([(drawing, 0, 0), (words, drawing.width + 8, 0)], drawing.width + words.width + 24,
                max(drawing.height, words.height))  # fmt: skip


def conversion_picture(name: str) -> str:
    """Return a picture of a skeleton and of what becomes of it in the other ones of :data:`NAMED`."""
    source = _whole(catalogue.get(name))
    frame = np.concatenate([places(catalogue.get(n)) for n in NAMED])
    panels, x = [], 0.0
    for other in (name, *(n for n in NAMED if n != name)):
        poses = source.to(catalogue.get(other))
        drawing = figure(poses, 340, frame)
        text = f'<text x="{_MARGIN}" y="18" font-size="13" fill="{_INK}">{_title(poses, made=other != name)}</text>'
        panels += [(Drawing([text], 0, 0), x, 0.0), (drawing, x, 18.0)]
        x += drawing.width
    return _svg(panels, x, 18 + drawing.height)


def _title(poses: Poses, *, made: bool) -> str:
    known, inferred = (int((poses.sources == kind).sum()) for kind in (Source.MEASURED, Source.INFERRED))
    also = f" + {inferred} made" if inferred else ""
    return poses.skeleton.name + (f": {known}{also} of {len(poses.skeleton)}" if made else "")


def pictures() -> dict[str, str]:
    """Return all pictures by file name."""
    drawn = {f"{name}.svg": skeleton_picture(name) for name in catalogue.names()}
    return drawn | {f"from_{name}.svg": conversion_picture(name) for name in NAMED}


def main() -> int:
    """Write or compare all pictures; 1 when one differs."""
    folder = FOLDER / "skeletons"
    folder.mkdir(exist_ok=True)
    drawn, check = pictures(), "--check" in sys.argv
    stale = [n for n, text in drawn.items() if not (folder / n).exists() or (folder / n).read_text("utf-8") != text]
    stale += [path.name for path in folder.glob("*.svg") if path.name not in drawn]
    for name in () if check else stale:
        if name in drawn:
            (folder / name).write_text(drawn[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    if stale:
        print(("out of date: " if check else "written: ") + ", ".join(stale))
    return int(bool(stale) and check)


if __name__ == "__main__":
    sys.exit(main())
