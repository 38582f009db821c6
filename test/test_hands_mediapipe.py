# SPDX-License-Identifier: Apache-2.0
"""Hands here are those of MediaPipe 0.10.21, on pictures and on films: where they are, which side, which size."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pose_ros.core.frame import Frame
from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.errors import ModelMissingError
from pose_ros.models.store import Store
from pose_ros.pipeline import Pipeline
from pose_ros.wiring import build

HERE = Path(__file__).parent
DATA = HERE / "data" / "hands"
#: MediaPipe's Python takes every frame as this much later than the one before.
STEP_NS = 33_333_000


def _module(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


clips = _module("clips", DATA / "clips.py")


@pytest.fixture(scope="module")
def compare() -> Iterator[ModuleType]:
    """The benchmark that compares; its folder is on the path only while it is read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE.parent / "benchmarks"))
        yield _module("mediapipe_benchmark", HERE.parent / "benchmarks" / "mediapipe.py")


def hands(model: str, most: int, **changes: Any) -> Pipeline:
    store = Store()
    try:
        for name in (model, model.replace("hand-landmark", "palm-detection")):
            store.path(store.card(name))
    except ModelMissingError as error:
        pytest.skip(str(error))
    return build({"model": model, "smooth": False, "top_down": {"max_subjects": most}, **changes}, allow_fetch=False)


def recorded(name: str) -> dict[str, np.ndarray]:
    with np.load(DATA / name) as arrays:
        return dict(arrays)


@pytest.mark.parametrize(("file", "model", "count"), [
    ("lite.npz", "mediapipe-hand-landmark-lite", 27), ("full.npz", "mediapipe-hand-landmark-full", 36),
])
def test_finds_the_hands_in_pictures(compare, testdata, file, model, count):
    found = compare.agreement(recorded(file), lambda name: compare.read(testdata / name), "hands", hands(model, 4))
    both = [distance for a in found.values() for distance in a.landmarks]
    assert len(both) == count  # every one of MediaPipe's
    assert sum(a.ours for a in found.values()) >= count
    assert np.median(both) < 0.002
    assert max(both) < 0.02
    assert all(side for a in found.values() for side in a.sides)
    assert np.median([metres for a in found.values() for metres in a.world]) < 5e-4


def test_follows_the_hands_in_films(compare, testdata):
    found = compare.agreement(
        recorded("clips.npz"), lambda name: clips.CLIPS[name](testdata), "hands",
        hands("mediapipe-hand-landmark-full", 2),
    )
    circling, crossing = found["hands", "clip/circling"], found["hands", "clip/crossing"]
    assert circling.ours == circling.theirs == 2 * clips.FRAMES
    for film in (circling, crossing):
        assert np.median(film.landmarks) < 0.002
        assert all(film.sides)
    assert max(circling.landmarks) < 0.01


def test_is_as_near_as_a_blurred_hand_allows(compare, testdata):
    """The hand moves by half its size between frames, and what MediaPipe says jumps too."""
    (found,) = compare.agreement(
        recorded("blurred.npz"), lambda name: compare.read(testdata / name), "hands",
        hands("mediapipe-hand-landmark-full", 4),
    ).values()
    assert found.ours >= found.theirs == 19
    assert len(found.landmarks) == 18  # the 19th is MediaPipe's second hand in a frame with one
    assert np.median(found.landmarks) < 0.015
    assert all(found.sides)


def test_hands_that_cross_keep_their_ids_and_sides_and_are_never_three(testdata):
    pipeline = hands("mediapipe-hand-landmark-full", 4, smooth=True)
    seen = []
    for number, image in enumerate(clips.CLIPS["clip/crossing"](testdata)):
        poses = pipeline(Frame(image, (number + 1) * STEP_NS)).poses
        seen.append({int(i): int(side) for i, side in zip(poses.ids, poses.sides, strict=True)})
        for i, side in seen[-1].items():
            x = poses.keypoints[poses.ids == i, 0, 0]
            # The left hand goes to the right by 8 pixels a frame, the right hand to the left.
            expected = 66 + 8 * number if side == LEFT else 404 - 8 * number
            assert abs(x - expected) < 15, (number, side)
    assert seen[0] == seen[-1] == {1: LEFT, 2: RIGHT}
    assert all(len(hands) == 2 for hands in (*seen[:17], *seen[31:]))
    assert all(hands.items() <= seen[0].items() for hands in seen)
