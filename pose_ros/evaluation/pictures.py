# SPDX-License-Identifier: Apache-2.0
"""What numbers do not show: keypoints side by side in a plot, and the worst cases as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pose_ros.core.poses import Poses
from pose_ros.errors import ConfigError
from pose_ros.evaluation.report import Entry, worst
from pose_ros.media.square import square

_SQUARE_PX, _LINE_PX = 400, 24
#: More bars than this get no names: meshes of faces.
_MOST_NAMES = 140
#: Inches.
_BAR, _WIDTH = 0.19, 7.5


def plot(entries: Sequence[Entry], path: Path) -> None:
    """Draw how good each keypoint is, a bar for each model; all entries are of one data set.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError("--plot", "needs the package matplotlib: pip install 'pose_ros[record]'") from error
    scores = entries[0].scores
    shown = np.flatnonzero(np.isfinite([e.scores.per_part for e in entries]).any(axis=0))
    height = 1.5 + _BAR * max(len(shown), 4) * (1 if len(shown) > _MOST_NAMES else max(1.0, 0.6 * len(entries)))
    figure = Figure(figsize=(_WIDTH, min(height, 40)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    thick = 0.8 / len(entries)
    for i, entry in enumerate(entries):
        axes.barh(np.arange(len(shown)) + (i - (len(entries) - 1) / 2) * thick, entry.scores.per_part[shown],
                  thick, label=entry.job.model)
    if len(shown) <= _MOST_NAMES:
        axes.set_yticks(np.arange(len(shown)), [scores.parts[i] for i in shown], fontsize=7)
    axes.invert_yaxis()
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel(scores.part_measure)
    axes.set_title(f"{entries[0].job.data}: {scores.images} images, {len(scores.subjects)} subjects")
    axes.grid(axis="x", alpha=0.3)
    figure.legend(loc="outside lower center", frameon=False)
    figure.savefig(path, dpi=110)


def write_worst(entry: Entry, count: int, folder: Path) -> list[Path]:
    """Write pictures of the worst cases: what is labelled on the left, what was found on the right.

    Returns:
        The files, the worst case first.
    """
    import cv2

    scores, truth = entry.scores, entry.job.dataset()
    outlines = entry.card.kind == "detector"
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for rank, case in enumerate(worst(scores, count), 1):
        sample, row = truth[int(scores.subjects[case, 0])], int(scores.subjects[case, 1])
        image, box = sample.read(), sample.boxes[row : row + 1]
        there = (sample.visibility[row : row + 1] > 0).astype(np.float32) * scores.shared * (not outlines)
        labelled = Poses(scores.skeleton, sample.keypoints[row : row + 1], there, box)
        match = int(scores.matches[case])
        found = scores.poses.select(np.array([match] if match >= 0 else [], np.int64))
        # Whatever was said is drawn, however unsure.
        found = found.replace(scores=np.isfinite(found.keypoints).all(axis=2).astype(np.float32))
        sides = [square(image, box, poses, _SQUARE_PX, labels=outlines) for poses in (labelled, found)]
        pair = np.concatenate(sides, axis=1)
        pair = cv2.copyMakeBorder(pair, _LINE_PX, 0, 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        says = f"image {sample.id}, subject {sample.ids[row]}: {scores.error_name} {scores.errors[case]:.3g}"
        for x, words in ((8, f"labelled   {says}"), (_SQUARE_PX + 180, "found" if match >= 0 else "not found")):
            cv2.putText(pair, words, (x, _LINE_PX - 8), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20), 1, cv2.LINE_AA)
        path = folder / f"{rank:02d}.jpg"
        cv2.imwrite(str(path), cv2.cvtColor(pair, cv2.COLOR_RGB2BGR))
        written.append(path)
    return written
