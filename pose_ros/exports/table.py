# SPDX-License-Identifier: Apache-2.0
"""Tables: one line for each keypoint at each moment, as CSV or Parquet; they hold all there is, metres or not."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.core.poses import Source
from pose_ros.errors import ConfigError
from pose_ros.exports.take import Take

COLUMNS = ("time_s", "stamp_ns", "id", "label", "keypoint", "x_px", "y_px", "score", "source", "x_m", "y_m", "z_m")
#: Digits after the point of seconds, pixels, scores and metres.
_DIGITS = {"time_s": 6, "x_px": 3, "y_px": 3, "score": 4, "x_m": 5, "y_m": 5, "z_m": 5}


def columns(take: Take) -> dict[str, np.ndarray]:
    """Return the columns of the table by name, each (L,): moments, then subjects, then keypoints.

    A subject has lines for the moments at which it was seen.
    """
    parts: list[dict[str, np.ndarray]] = []
    names, kinds = np.array(take.skeleton.keypoints), np.array([source.name.lower() for source in Source])
    k, seconds = len(names), take.seconds
    for subject in take.subjects:
        known = np.isfinite(subject.keypoints[..., 0]) | np.isfinite(subject.points[..., 0])
        seen = np.flatnonzero(known.any(axis=1))
        t = len(seen)
        pixels, points = subject.keypoints[seen].reshape(-1, 2), subject.points[seen].reshape(-1, 3)
        parts.append({
            "time_s": np.repeat(seconds[seen], k), "stamp_ns": np.repeat(take.stamps_ns[seen], k),
            "id": np.full(t * k, subject.id), "label": np.full(t * k, subject.label), "keypoint": np.tile(names, t),
            "x_px": pixels[:, 0], "y_px": pixels[:, 1], "score": subject.scores[seen].reshape(-1),
            "source": kinds[subject.sources[seen].astype(int).reshape(-1)],
            **{f"{axis}_m": points[:, i] for i, axis in enumerate("xyz")},
        })  # fmt: skip
    if not parts:
        return {name: np.empty(0) for name in COLUMNS}
    joined = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
    order = np.argsort(joined["stamp_ns"], kind="stable")
    return {name: np.round(v[order], _DIGITS[name]) if name in _DIGITS else v[order] for name, v in joined.items()}


def write_csv(take: Take, path: Path) -> None:
    """Write a table with a header; what is missing is empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_lines(columns(take)))


def _lines(table: dict[str, np.ndarray]) -> Iterator[list[Any]]:
    for line in zip(*(column.tolist() for column in table.values()), strict=True):
        yield ["" if value != value else value for value in line]


def write_parquet(take: Take, path: Path) -> None:
    """Write a table as Parquet; what is missing is null.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise ConfigError("format", "parquet needs pyarrow: pip install 'pose_ros[capture]'; or take csv") from error
    table = {name: pyarrow.array(column, from_pandas=True) for name, column in columns(take).items()}
    parquet.write_table(pyarrow.table(table), path)
