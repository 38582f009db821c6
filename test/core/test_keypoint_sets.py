# SPDX-License-Identifier: Apache-2.0
"""Shipped skeletons against mmpose's definitions, recorded in simcc.npz; see test/data/networks/README.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pose_ros.core.convert import conversion
from pose_ros.skeletons import catalogue

RECORD = Path(__file__).parents[1] / "data/networks/simcc.npz"


def recorded(name: str, column: str) -> np.ndarray:
    with np.load(RECORD) as file:
        return file[f"skeletons/{name}/{column}"]


@pytest.mark.parametrize("name", ["coco17", "halpe26", "wholebody133", "hand21", "lapa106"])
def test_keypoints_mirror_one_another_as_in_mmpose(name):
    skeleton = catalogue.get(name)
    np.testing.assert_array_equal(skeleton.flip_index, recorded(name, "flip"))


@pytest.mark.parametrize("name", ["coco17", "halpe26", "wholebody133", "hand21"])
def test_sigmas_and_edges_are_those_of_mmpose(name):
    skeleton = catalogue.get(name)
    np.testing.assert_allclose(skeleton.sigmas, recorded(name, "sigmas"))
    # mmpose draws no lines in the face of wholebody133.
    ours = [edge for edge in skeleton.edges if not skeleton.joints[edge[0]].startswith("face/")]
    assert sorted(map(sorted, ours)) == sorted(map(sorted, recorded(name, "edges").tolist()))


@pytest.mark.parametrize("name", ["coco17", "halpe26", "wholebody133", "hand21"])
def test_names_are_those_of_mmpose_but_for_what_is_not_unique_or_clear(name):
    """There left_thumb1 is what is left_hand_thumb1 here."""
    ours = [n.replace("_hand_", "_").replace("face_", "face-") for n in catalogue.get(name).keypoints]
    assert ours == [n.replace("hand_root", "root") for n in recorded(name, "names").tolist()]


@pytest.mark.parametrize("name", ["halpe26", "wholebody133"])
def test_the_body_of_larger_sets_is_that_of_coco(name):
    skeleton = catalogue.get(name)
    assert conversion(skeleton, catalogue.get("coco17")).index.tolist() == list(range(17))
    assert skeleton.keypoints[:17] == catalogue.get("coco17").keypoints


def test_left_and_right_keep_to_their_sides():
    for name in ("halpe26", "wholebody133", "lapa106"):
        skeleton = catalogue.get(name)
        for i, j in enumerate(skeleton.flip):
            assert skeleton.keypoints[i].startswith("left_") == skeleton.keypoints[j].startswith("right_"), name
