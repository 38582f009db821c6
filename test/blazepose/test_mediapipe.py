# SPDX-License-Identifier: Apache-2.0
"""The real networks against what MediaPipe 0.10.21 said about the same pixels; see ../data/README.md."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from mediapipe_replay import Agreement, read, replay

from pose_ros.errors import ModelMissingError
from pose_ros.pipeline import Pipeline
from pose_ros.wiring import build

RECORDED = json.loads((Path(__file__).parents[1] / "data/mediapipe_pose_0_10_21.json").read_text(encoding="utf-8"))
#: What the package promises: median landmark distance as a part of the person's height, and in metres.
PROMISED = (0.015, 0.02)
#: Videos agree better, because both smooth; without that they would not.
VIDEO = (0.005, 0.01)


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    try:
        return build({"model": "blazepose-full", "top_down": {"max_subjects": 1}}, allow_fetch=False)
    except ModelMissingError as error:
        pytest.skip(f"needs the networks: {error}")


def check(found: Agreement, bounds: tuple[float, float]) -> None:
    assert found.ours >= found.theirs > 0
    assert len(found.landmarks) == found.theirs
    assert np.median(found.landmarks) < bounds[0]
    assert np.median(found.world) < bounds[1]


def test_the_photograph_that_ships_with_scikit_image(pipeline):
    data = pytest.importorskip("skimage.data", reason="needs scikit-image, for its photograph of an astronaut")
    cases = [case for case in RECORDED["cases"] if case["file"] == "skimage/astronaut.png"]

    def images(name: str) -> Iterator[np.ndarray]:
        yield data.astronaut()

    check(replay(cases, images, pipeline)["skimage"], PROMISED)


@pytest.mark.parametrize(
    ("group", "bounds"),
    [
        ("body2d/coco_mini", PROMISED),
        ("video/mmpose_demo.mp4", VIDEO),
        ("video/mediapipe_pose_world_landmarks.mp4", VIDEO),
    ],
)
def test_images_and_videos(testdata, pipeline, group, bounds):
    cases = [case for case in RECORDED["cases"] if case["file"].startswith(group)]
    check(replay(cases, lambda name: read(testdata / name), pipeline)[group], bounds)
