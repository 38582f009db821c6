# SPDX-License-Identifier: Apache-2.0
"""Plot: where keypoints went over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError

#: Most moments that are kept; beyond, every second one is let go. A plot has fewer pixels in a row, and the bag holds
#: them all. 2000 moments of five people with 33 keypoints take 7 MB.
MAX_MOMENTS = 2000
#: Most subjects in a plot, those seen longest.
MAX_SUBJECTS = 4
#: Keypoints that say most about a body, for those skeletons that have them.
_TELLING = ("nose", "left_wrist", "right_wrist", "left_ankle", "right_ankle", "left_shoulder", "right_shoulder")
_MOST_KEYPOINTS, _SEEN_SHARE = 5, 0.2


class Trajectories:
    """Keypoints of every subject over time, in bounded memory."""

    def __init__(self, min_score: float = 0.3, max_moments: int = MAX_MOMENTS) -> None:
        """Start empty; keypoints with a score below ``min_score`` count as missing."""
        self.min_score, self.max_moments = min_score, max_moments
        self.skeleton: Skeleton | None = None
        self._moments: list[tuple[int, dict[int, tuple[np.ndarray, np.ndarray | None]]]] = []
        self._every, self._count = 1, 0
        #: Whether metres are relative to the subject's root, not to the camera.
        self.relative = False

    def __len__(self) -> int:
        """Return the number of moments kept."""
        return len(self._moments)

    def add(self, stamp_ns: int, poses: Poses) -> None:
        """Add a moment. Another skeleton than before begins anew; untracked subjects are told apart by their row."""
        if poses.skeleton != self.skeleton:
            self.skeleton, self._moments, self._every, self._count = poses.skeleton, [], 1, 0
        self._count += 1
        if (self._count - 1) % self._every:
            return
        seen = poses.scores >= self.min_score
        pixels = np.where(seen[..., None], poses.keypoints, np.nan)
        self.relative = poses.points is None
        metres = poses.local_points if self.relative else poses.points
        if metres is not None:
            metres = np.where(seen[..., None], metres, np.nan)
        ids = poses.ids if poses.ids.any() else -1 - np.arange(len(poses))
        self._moments.append((stamp_ns, {
            int(i): (pixels[row], None if metres is None else metres[row]) for row, i in enumerate(ids)
        }))
        if len(self._moments) > self.max_moments:
            self._moments, self._every = self._moments[::2], self._every * 2

    @property
    def ids(self) -> list[int]:
        """Ids of all subjects, those seen longest first; negative for rows of untracked ones."""
        counts: dict[int, int] = {}
        for _, subjects in self._moments:
            for i in subjects:
                counts[i] = counts.get(i, 0) + 1
        return sorted(counts, key=lambda i: (-counts[i], i))

    @property
    def seconds(self) -> np.ndarray:
        """(T,), time since the first moment."""
        stamps = np.array([stamp for stamp, _ in self._moments], np.int64)
        return (stamps - stamps[:1].sum()) / 1e9

    def pixels(self, track_id: int) -> np.ndarray:
        """Return (T, K, 2); NaN where not seen."""
        return self._columns(track_id, 0, 2)

    def metres(self, track_id: int) -> np.ndarray:
        """Return (T, K, 3), relative to the subject's root where no position is known; NaN where not seen."""
        return self._columns(track_id, 1, 3)

    def _columns(self, track_id: int, which: int, dims: int) -> np.ndarray:
        out = np.full((len(self), len(self.skeleton or ()), dims), np.nan, np.float32)
        for row, (_, subjects) in zip(out, self._moments, strict=True):
            if track_id in subjects and subjects[track_id][which] is not None:
                row[:] = subjects[track_id][which]
        return out


def plot_trajectories(trajectories: Trajectories, path: Path | str, keypoints: Sequence[str] = ()) -> None:
    """Draw x and y over time, and paths in space where they are known, into an image file.

    Args:
        trajectories: What happened.
        path: File to write; the suffix chooses the format.
        keypoints: Which ones to draw; a telling few when left out.

    Raises:
        ConfigError: Nothing was seen, a keypoint does not exist, or matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("plot", "needs the package matplotlib: pip install matplotlib") from error
    skeleton = trajectories.skeleton
    ids = trajectories.ids[:MAX_SUBJECTS]
    if skeleton is None or not ids:
        raise ConfigError("plot", "expected at least one subject, none was seen")
    names = list(keypoints) or _telling(skeleton, trajectories.pixels(ids[0]))
    unknown = [name for name in names if name not in skeleton.index]
    if unknown:
        raise ConfigError("plot", f"'{skeleton.name}' has no keypoint {', '.join(map(repr, unknown))}")
    metres = {i: trajectories.metres(i) for i in ids}
    spatial = any(np.isfinite(m).any() for m in metres.values())

    figure = Figure(figsize=(14 if spatial else 9, 1 + 4 * len(ids)), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2 * len(ids), 2 if spatial else 1, width_ratios=(5, 4) if spatial else (1,))
    for row, track in enumerate(ids):
        _plot_pixels(figure, grid, row, trajectories, track, names)
        if spatial:
            axes = figure.add_subplot(grid[2 * row : 2 * row + 2, 1], projection="3d")
            _plot_metres(axes, skeleton, metres[track], names)
            axes.set_title("relative to the subject's root" if trajectories.relative else "in the camera's frame")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _plot_pixels(figure: Any, grid: Any, row: int, trajectories: Trajectories, track: int, names: list[str]) -> None:
    seconds, pixels, skeleton = trajectories.seconds, trajectories.pixels(track), trajectories.skeleton
    assert skeleton is not None
    who = f"#{track}" if track > 0 else f"row {-1 - track}"
    for axis, letter in enumerate("xy"):
        axes = figure.add_subplot(grid[2 * row + axis, 0], sharex=figure.axes[0] if figure.axes else None)
        for color, name in enumerate(names):
            # A dot as well: one moment between two gaps would draw no line.
            axes.plot(seconds, pixels[:, skeleton.index[name], axis], ".-", color=f"C{color}", ms=2, lw=1, label=name)
        axes.set_ylabel(f"{who}\n{letter} [px]" if axis == 0 else f"{letter} [px]")
        axes.grid(alpha=0.3)
        if axis == 1:
            axes.invert_yaxis()
    axes.set_xlabel("time [s]")


def _plot_metres(axes: Any, skeleton: Skeleton, metres: np.ndarray, names: list[str]) -> None:
    """Draw paths, and the whole skeleton once, with the camera's y axis, which points down, as the vertical."""
    still = metres[np.isfinite(metres).all(axis=2).sum(axis=1).argmax()]
    for a, b in skeleton.edges:
        x, y, z = still[[a, b]].T
        axes.plot(x, z, -y, color="0.6", lw=1)
    for color, name in enumerate(names):
        x, y, z = metres[:, skeleton.index[name]].T
        axes.plot(x, z, -y, color=f"C{color}", lw=1)
    axes.set(xlabel="x [m]", ylabel="z [m]", zlabel="-y [m]")
    axes.set_aspect("equal", adjustable="datalim")
    axes.locator_params(nbins=5)


def _telling(skeleton: Skeleton, pixels: np.ndarray) -> list[str]:
    """Return a few keypoints that say most, of those that are seen at least now and then."""
    share = np.isfinite(pixels).all(axis=2).mean(axis=0)
    found = [name for name in _TELLING if share[skeleton.index.get(name, 0)] >= _SEEN_SHARE and name in skeleton.index]
    spread = np.linspace(0, len(skeleton) - 1, min(_MOST_KEYPOINTS, len(skeleton))).round().astype(int)
    return found[:_MOST_KEYPOINTS] or [skeleton.keypoints[i] for i in spread]
