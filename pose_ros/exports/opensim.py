# SPDX-License-Identifier: Apache-2.0
"""OpenSim's text formats: markers over time (TRC) and joint angles over time (MOT), one file for each subject.

TRC as OpenSim's documentation describes it: tabs, y up, a blank where a marker was not seen. MOT cannot say that: its
reader ends at the first number that is none.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pose_ros.anatomy.angles import ANGLES
from pose_ros.errors import ConfigError
from pose_ros.exports.take import TO_Y_UP, Subject, Take, held


def write_trc(take: Take, path: Path) -> list[Path]:
    """Write the points of a take with z up; returns the files.

    Raises:
        ConfigError: The take has no metres.
    """
    even = take.metric().even().turned(TO_Y_UP)
    return [_write(_trc(even, subject, _named(path, subject, even)), _named(path, subject, even))
            for subject in even.subjects]


def _trc(take: Take, subject: Subject, path: Path) -> str:
    names, count = take.skeleton.keypoints, len(take.stamps_ns)
    rate = f"{take.rate:.2f}"
    lines = [
        f"PathFileType\t4\t(X/Y/Z)\t{path.name}",
        "DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames",
        f"{rate}\t{rate}\t{count}\t{len(names)}\tm\t{rate}\t1\t{count}",
        "Frame#\tTime\t" + "\t\t\t".join(names) + "\t\t",
        "\t\t" + "\t".join(f"{axis}{i + 1}" for i in range(len(names)) for axis in "XYZ"),
        "",
    ]
    for i, (time, points) in enumerate(zip(take.seconds, subject.points, strict=True)):
        cells = ("" if np.isnan(value) else f"{value:.6f}" for value in points.reshape(-1))
        # Ends with a tab, as OpenSim's own lines do: without, it counts a blank in the end as no column.
        lines.append(f"{i + 1}\t{time:.6f}\t" + "\t".join(cells) + "\t")
    return "\n".join(lines) + "\n"


def write_mot(take: Take, path: Path) -> list[Path]:
    """Write the joint angles of a take in degrees, from when to when each subject shows any; returns the files.

    Raises:
        ConfigError: The take has no joint angles.
    """
    angles = np.array([name in ANGLES for name in take.skeleton.measures], bool)
    even = take.even()
    known = {subject.id: np.isfinite(subject.measures) & angles for subject in even.subjects}
    if not any(seen.any() for seen in known.values()):
        raise ConfigError("format", f"mot holds joint angles, and no '{take.skeleton.name}' here has any: they need "
                                    "bodies in metres")
    return [_write(_mot(even, subject, known[subject.id]), _named(path, subject, even))
            for subject in even.subjects if known[subject.id].any()]


def _mot(take: Take, subject: Subject, known: np.ndarray) -> str:
    """Return the file of the measures (T, M) that are ``known``; those that are not for a while stay as they were."""
    columns, rows = np.flatnonzero(known.any(axis=0)), np.flatnonzero(known.any(axis=1))
    shown = slice(rows[0], rows[-1] + 1)
    degrees = np.degrees(held(subject.measures[shown, columns, None])[..., 0])
    names = [take.skeleton.measures[i] for i in columns]
    header = ["joint angles", "version=1", f"nRows={len(degrees)}", f"nColumns={1 + len(columns)}", "inDegrees=yes",
              "endheader", "\t".join(["time", *names])]
    lines = (f"{time:.6f}\t" + "\t".join(f"{value:.5f}" for value in row)
             for time, row in zip(take.seconds[shown], degrees, strict=True))
    return "\n".join([*header, *lines]) + "\n"


def _named(path: Path, subject: Subject, take: Take) -> Path:
    """Return the file of one subject; the one that was asked for where there is but one."""
    return path if len(take.subjects) == 1 else path.with_stem(f"{path.stem}_{subject.name}")


def _write(text: str, path: Path) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
