# SPDX-License-Identifier: Apache-2.0
"""What cameras have seen of a board or of people, and which images of several cameras belong together."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros.cli import console
from pose_ros.cli.takes import BagTake, as_written, read_run
from pose_ros.errors import ConfigError, SourceError
from pose_ros.media.bag_file import BagFile
from pose_ros.skeletons import catalogue

if TYPE_CHECKING:
    from pose_ros.core.skeleton import Skeleton
    from pose_ros.multiview.board import Board

_ARRAY = "pose_ros/msg/SkeletonArray"
_IMAGES = {"sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"}


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
    """Return stamps in seconds (T,), people (N, T, K, 3), size of the images and skeleton of one camera.

    Raises:
        SourceError, ConfigError: It holds neither images nor keypoints of people; says what it holds.
    """
    if spec.endswith(".json"):
        document = read_run(Path(spec))
        with as_written(spec):
            return _of_run(document["sources"][0], 0.0, catalogue.get(document["skeleton"]["name"]))
    bag = _bag_of_skeletons(spec)
    return _of_bag(*bag) if bag else _of_images(spec, args)


def _of_run(found: Mapping[str, Any], began: float, skeleton: Skeleton) -> Any:
    """Return what :func:`tracks` does, of one source of results."""
    frames = [{subject["id"] or -number: np.array(subject["keypoints"], np.float64)
               for number, subject in enumerate(frame["subjects"])} for frame in found["frames"]]  # fmt: skip
    stamps = began + np.array([frame["time_s"] for frame in found["frames"]])
    return stamps, _rows(frames, len(skeleton)), (found["width"], found["height"]), skeleton


def _of_images(spec: str, args: argparse.Namespace) -> Any:
    """Return what :func:`tracks` does, of images that are looked at now."""
    from pose_ros.cli.runner import Runner
    from pose_ros.media.sources import open_source

    began = 0.0
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
    return _of_run(found, began, catalogue.get(runner.about()["skeleton"]["name"]))


def _bag_of_skeletons(spec: str) -> tuple[Path, str] | None:
    """Return path and topic where BAG or BAG#TOPIC means skeletons that a pose node has published."""
    from pose_ros.media.sources import BAG_SUFFIXES

    path, topic = Path(spec).expanduser(), ""
    if not path.exists() and "#" in spec:
        before, _, topic = spec.rpartition("#")
        path = Path(before).expanduser()
    if not ((path / "metadata.yaml").is_file() or (path.is_file() and path.suffix.lower() in BAG_SUFFIXES)):
        return None
    bag = BagFile(spec, path)
    kinds = {c.topic: c.msgtype for c in bag.connections}
    bag.close()
    known = sorted(name for name, kind in kinds.items() if kind == _ARRAY)
    if topic:
        return (path, topic) if topic in known else None
    if any(kind in _IMAGES for kind in kinds.values()):
        return None
    if len(known) > 1:
        names = ", ".join(f"{path}#{name}" for name in known)
        raise SourceError(spec, f"holds the skeletons of several cameras; name one of: {names}")
    return (path, known[0]) if known else None


def _of_bag(path: Path, topic: str) -> Any:
    """Return what :func:`tracks` does, of skeletons in a bag."""
    take = BagTake(path, topic)
    stamps, frames, skeletons = [], [], set()
    for stamp_ns, poses in take.moments():
        stamps.append(stamp_ns / 1e9)
        skeletons.add(poses.skeleton)
        joints = np.concatenate([poses.keypoints, poses.scores[..., None]], axis=2, dtype=np.float64)
        frames.append({own or -number: joints[number] for number, own in enumerate(poses.ids.tolist())})
    if len(skeletons) != 1 or not take.optical:
        what = "skeletons in metres without an image" if skeletons else "no message"
        raise SourceError(f"{path}#{take.topic}", "expected skeletons of one kind in the images of one camera, got "
                          + (what if len(skeletons) < 2 else ", ".join(sorted(s.name for s in skeletons))))
    skeleton = skeletons.pop()
    return np.array(stamps), _rows(frames, len(skeleton)), take.size_wh, skeleton


def _rows(frames: Sequence[Mapping[int, np.ndarray]], k: int) -> np.ndarray:
    """Return (N, T, K, 3), NaN where somebody was not seen, of what was seen of whom (K, 3) in each frame."""
    rows: dict[int, np.ndarray] = {}
    for t, frame in enumerate(frames):
        for own, joints in frame.items():
            rows.setdefault(own, np.full((len(frames), k, 3), np.nan))[t] = joints
    return np.stack(list(rows.values())) if rows else np.zeros((0, len(frames), k, 3))


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
