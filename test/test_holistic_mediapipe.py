# SPDX-License-Identifier: Apache-2.0
"""Bodies, their hands and faces are those of MediaPipe Holistic 0.10.21 on videos of one person."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pose_ros.core.frame import Frame
from pose_ros.errors import ModelMissingError
from pose_ros.pipeline import Pipeline
from pose_ros.wiring import build

HERE = Path(__file__).parent
MODELS = {
    "model": "blazepose-full", "hands": {"model": "mediapipe-hand-landmark-full"},
    "faces": {"model": "mediapipe-face-landmark"}, "top_down": {"max_subjects": 1},
}  # fmt: skip


def holistic(**changes: object) -> Pipeline:
    try:
        return build({**MODELS, **changes}, allow_fetch=False)
    except ModelMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def compare() -> Iterator[ModuleType]:
    """The benchmark that compares; its folder is on the path only while it is read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE.parent / "benchmarks"))
        path = HERE.parent / "benchmarks" / "mediapipe.py"
        spec = importlib.util.spec_from_file_location("mediapipe_benchmark", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "mediapipe_benchmark", module)
        spec.loader.exec_module(module)
        yield module


#: Frames to look at; how far apart they may be in the middle, as a part of the size, and how many of MediaPipe's may be
#: missing here. With and without its smoothing of bodies, MediaPipe's own hands are 1.3 to 2.0 % apart in the dance.
@pytest.mark.parametrize(("file", "most", "bounds"), [
    ("video/sleap_dance.mp4", 200, {"bodies": (0.01, 0), "hands": (0.02, 3), "faces": (0.015, 2)}),
    ("multiview/pose2sim_singleperson/cam01.mp4", 60, {"bodies": (0.01, 0), "hands": (0.01, 1)}),
])
def test_bodies_hands_and_faces(compare, testdata, file, most, bounds):
    with np.load(HERE / "data/holistic/videos.npz") as arrays:
        recorded = dict(arrays)
    here = (recorded["files"] == file) & (recorded["frames"] < most)
    number = np.cumsum(here) - 1
    for group in ("bodies", "hands", "faces"):
        rows = here[recorded[f"{group}_case"]]
        for name in [key for key in recorded if key.startswith(f"{group}_")]:
            recorded[name] = recorded[name][rows]
        recorded[f"{group}_case"] = number[recorded[f"{group}_case"]]
    recorded |= {"files": recorded["files"][here], "frames": recorded["frames"][here]}
    found = compare.agreement(
        recorded, lambda name: islice(compare.read(testdata / name), most), "holistic", holistic(smooth=False)
    )
    for (group, _), a in found.items():
        if group not in bounds:
            assert a.theirs == a.ours == 0
            continue
        apart, missing = bounds[group]
        assert a.ours >= a.theirs - missing
        assert np.median(a.landmarks) < apart
        assert all(a.sides)


def test_hands_and_faces_are_those_of_the_body(compare, testdata):
    """What belongs together is near each other, keeps its id while it is seen, and is joined in one layout."""
    pipeline = holistic(skeleton="holistic543", smooth=False)
    calls = {"locate": 0, "estimate": 0}
    hands = pipeline.parts["hands"].source
    for piece, name in ((hands.locator, "locate"), (hands.estimator, "estimate")):
        def counted(image, regions, sides=None, estimate=piece.estimate, name=name):
            calls[name] += len(regions)
            return estimate(image, regions, sides)
        piece.estimate = counted
    for number, image in enumerate(compare.read(testdata / "video/nvgesture_hand_color.avi")):
        result = pipeline(Frame(image, (number + 1) * compare.STEP_NS))
        (body,) = result.poses.ids
        (face,) = result.parts["faces"].poses.parents
        assert face == body
        nose = result.poses.keypoint("nose")[0]
        mesh = result.parts["faces"].poses
        assert (mesh.boxes[0, :2] < nose).all()
        assert (nose < mesh.boxes[0, 2:]).all()
        found = result.parts["hands"].poses
        assert set(found.parents) <= {body}
        assert len(set(found.sides)) == len(found)
        for row, side in enumerate(("left_hand", "right_hand")[s - 1] for s in found.sides):
            places = list(result.poses.skeleton.blocks[side][1])
            np.testing.assert_array_equal(result.poses.keypoints[0, places], found.keypoints[row])
    # A hand that is waved is located nearly always; one that is not there costs no more than that.
    assert calls["locate"] < calls["estimate"] <= 2 * 20
