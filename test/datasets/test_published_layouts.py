# SPDX-License-Identifier: Apache-2.0
"""Layouts that authors publish, with made-up files: what is written comes back, in pixels that count from 0."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pose_ros import datasets

sys.path.append(str(Path(__file__).parent))
from published import PUBLISHED

CASES = [pytest.param(name, write, id=f"{name}-{write.__name__}") for name, ways in PUBLISHED.items() for write in ways]


@pytest.fixture(autouse=True)
def few_faces_for_training(monkeypatch):
    monkeypatch.setattr("pose_ros.datasets.aflw._TRAIN", 2)


@pytest.mark.parametrize(("name", "write"), CASES)
def test_what_is_written_comes_back(name, write, tmp_path):
    split, keypoints, visibility = write(tmp_path)
    dataset = datasets.open(name, tmp_path, split)
    sample = dataset[0]
    assert dataset.split == split
    assert len(dataset.skeleton) == keypoints.shape[1]
    np.testing.assert_array_equal(sample.visibility, visibility)
    expected = np.where(visibility[..., None] > 0, keypoints, np.nan)
    np.testing.assert_allclose(sample.keypoints, expected, atol=2e-3)
    assert np.isfinite(sample.boxes).all()
    for entry in dataset:
        assert entry.image is not None
        assert all(np.isfinite(lengths).all() for lengths in entry.normalisers.values())


def test_mpii_heads_are_those_of_both_files(tmp_path):
    for write in PUBLISHED["mpii"]:
        folder = tmp_path / write.__name__
        folder.mkdir()
        split, *_ = write(folder)
        sample = datasets.open("mpii", folder, split)[0]
        assert sample.normalisers["head"] == pytest.approx([0.6 * 50])
        np.testing.assert_allclose(sample.boxes, [[100 - 200, 140 - 200, 100 + 200, 140 + 200]])


def test_boxes_and_areas_are_those_of_the_files(tmp_path):
    samples = {}
    for name in ("aflw", "macaque", "cofw", "mhp"):
        (tmp_path / name).mkdir()
        PUBLISHED[name][0](tmp_path / name)
        samples[name] = datasets.open(name, tmp_path / name, "test_full" if name == "aflw" else "")[0]
    assert samples["aflw"].boxes.tolist() == [[10, 30, 60, 120]]
    assert samples["aflw"].normalisers["box_size"] == pytest.approx([(50 * 90) ** 0.5])
    assert samples["macaque"].boxes.tolist() == [[10, 20, 110, 70]]
    assert samples["macaque"].areas.tolist() == [5000]
    assert samples["cofw"].boxes.tolist() == [[20, 30, 120, 140]]
    assert samples["mhp"].extra["face_boxes"].shape == (2, 4)


def test_pictures_inside_label_files_are_decoded(tmp_path):
    shapes = {"cofw": (240, 220, 3), "zebra": (160, 160, 3), "sleap": (200, 200, 3)}
    for name, shape in shapes.items():
        folder = tmp_path / name
        folder.mkdir()
        PUBLISHED[name][0](folder)
        dataset = datasets.open(name, folder)
        for sample in dataset:
            image = sample.read()
            assert sample.there()
            assert image.dtype == np.uint8
            assert image.shape == shape


def test_a_sleap_project_says_what_is_joined_and_what_is_mirrored(tmp_path):
    PUBLISHED["sleap"][0](tmp_path)
    skeleton = datasets.open("sleap", tmp_path).skeleton
    assert skeleton.keypoints == ("left_eye", "right_eye", "tail")
    assert skeleton.edges == ((1, 2), (0, 2))
    assert skeleton.flip == (1, 0, 2)
    # The person found by a network has been labelled anew.
    assert len(datasets.open("sleap", tmp_path, "all")[0]) == 1


def test_sets_in_metres_project_onto_their_pixels(tmp_path):
    for name, split in (("shelf", "test"), ("freihand", "evaluation"), ("assemblyhands", "val")):
        folder = tmp_path / name
        folder.mkdir()
        PUBLISHED[name][0](folder)
        sample = datasets.open(name, folder, split)[0]
        np.testing.assert_allclose(sample.camera.project(sample.points), sample.keypoints, atol=1e-9)
        assert 0.3 < np.nanmedian(sample.points[..., 2]) < 10


def test_individuals_keep_their_names_and_the_project_its_lines(tmp_path):
    PUBLISHED["deeplabcut"][0](tmp_path)
    dataset = datasets.open("deeplabcut", tmp_path)
    assert dataset.skeleton.keypoints == ("nose", "ear", "tail")
    assert dataset.skeleton.edges == ((0, 1), (1, 2))
    assert dataset[0].extra["individuals"] == ["a", "b"]
    assert dataset[0].image == tmp_path / "labeled-data/clip/img007.png"
    assert dataset[0].moment == 7


def test_frames_of_several_cdf_files_are_found_in_any_order(tmp_path):
    PUBLISHED["h36m"][0](tmp_path)
    dataset = datasets.open("h36m", tmp_path, "S9")
    assert len(dataset) == 4
    assert [dataset[i].frame for i in (3, 0, 2)] == [3, 0, 2]
    assert dataset[0].image == tmp_path / "S9/Videos/Walking 1.54138969.mp4"
    assert dataset[-1].frame == 3
    assert np.nanmax(np.abs(dataset[0].points)) <= 1
