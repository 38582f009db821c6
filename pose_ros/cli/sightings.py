# SPDX-License-Identifier: Apache-2.0
"""What cameras have seen of a board or of people, and which images of several cameras belong together."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros.cli import console
from pose_ros.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from pose_ros.core.skeleton import Skeleton
    from pose_ros.multiview.board import Board


def corners(board: Board, spec: str, args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """Return stamps in seconds (T,), corners (T, K, 2) and the size of the images of one camera."""
    from pose_ros.media.sources import open_source

    stamps, found, size = [], [], (0, 0)
    with open_source(spec) as source, console.progress(source.name) as progress:
        frames = itertools.islice(source, 0, None, max(args.every, 1))
        for frame in itertools.islice(frames, args.max_frames or None):
            if size not in ((0, 0), frame.size_wh):
                raise SourceError(spec, f"expected images of one size, got {size} and {frame.size_wh}")
            size = frame.size_wh
            stamps.append(frame.stamp_ns / 1e9)
            found.append(board.find(frame.image))
            progress(len(stamps), 0)
    return np.array(stamps), np.stack(found), size


def tracks(spec: str, args: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, tuple[int, int], Skeleton]:
    """Return stamps in seconds (T,), people (N, T, K, 3), size of the images and skeleton of one camera."""
    from pose_ros.media.sources import open_source
    from pose_ros.skeletons import catalogue

    began = 0.0
    if spec.endswith(".json"):
        try:
            document = json.loads(Path(spec).read_text(encoding="utf-8"))
            name, found = document["skeleton"]["name"], document["sources"][0]
        except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
            raise ConfigError(spec, f"expected results.json of `pose-ros run` on one video: {error}") from error
    else:
        from pose_ros.cli.runner import Runner

        with open_source(spec) as source:
            if source.absolute:
                began = next(iter(source)).stamp_ns / 1e9
        options = argparse.Namespace(
            model=args.model, device=args.device, skeleton="", max_subjects=args.max_subjects, hands=False, faces=False,
            set=[], output=None, every=max(args.every, 1), max_frames=args.max_frames, min_score=0.3,
        )
        runner = Runner(options)
        found = console.jsonable(next(runner.run([spec])))
        if "error" in found:
            raise SourceError(spec, found["error"])
        name = runner.about()["skeleton"]["name"]
    skeleton = catalogue.get(name)
    frames = found["frames"]
    rows: dict[Any, np.ndarray] = {}
    for t, frame in enumerate(frames):
        for number, subject in enumerate(frame["subjects"]):
            blank = np.full((len(frames), len(skeleton), 3), np.nan)
            rows.setdefault(subject["id"] or -number, blank)[t] = np.array(subject["keypoints"], np.float64)
    people = np.stack(list(rows.values())) if rows else np.zeros((0, len(frames), len(skeleton), 3))
    stamps = began + np.array([frame["time_s"] for frame in frames])
    return stamps, people, (found["width"], found["height"]), skeleton


def together(stamps: Sequence[np.ndarray]) -> np.ndarray:
    """Return (V, T): which frame of each camera belongs to each frame of the first one; -1 for none near enough."""
    first = stamps[0]
    near = 0.5 * float(np.median(np.diff(first))) if len(first) > 1 else 0.5
    rows = []
    for other in stamps:
        after = np.searchsorted(other, first).clip(1, max(len(other) - 1, 1))
        before = after - 1
        after = np.minimum(after, len(other) - 1)
        nearest = np.where(abs(other[before] - first) <= abs(other[after] - first), before, after)
        rows.append(np.where(abs(other[nearest] - first) <= near, nearest, -1))
    index = np.stack(rows)
    if not (index[1:] >= 0).any():
        raise ConfigError("sources", "expected recordings of the same time, found no two images that belong together")
    return index


def picked(column: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return the rows of a column, NaN for row -1."""
    return np.where((at >= 0).reshape(-1, *(1,) * (column.ndim - 1)), column[at], np.nan)
