# SPDX-License-Identifier: Apache-2.0
"""Features of sign language: names, unit, origin, movement, what is missing; read from the file as a user would."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.core.poses import Poses, TrackState
from pose_ros.errors import ConfigError
from pose_ros.exports import features
from pose_ros.exports.take import collect
from pose_ros.skeletons import catalogue

WHOLE = catalogue.get("wholebody133")
T = 6


def person(skeleton=WHOLE, shift=(0.0, 0.0)):
    """Return a person whose right forefinger moves, shoulders 100 px and 0.4 m apart, who loses the left hand once."""
    rng = np.random.default_rng(0)
    keypoints = np.repeat(rng.uniform(100, 300, (1, len(skeleton), 2)), T, axis=0)
    index = skeleton.index
    keypoints[:, index["left_shoulder"]], keypoints[:, index["right_shoulder"]] = (350, 200), (250, 200)
    points = np.concatenate([keypoints, np.full((T, len(skeleton), 1), 500.0)], axis=2) / 250
    if "right_hand_forefinger4" in index:
        keypoints[:, index["right_hand_forefinger4"], 0] = 300 + 10 * np.arange(T)
        left = [index[name] for name in features.parts()["left_hand"]]
        keypoints[2, left], points[2, left] = np.nan, np.nan
    scores = np.where(np.isfinite(keypoints[..., 0]), 0.8, 0)
    return [(round(i / 25 * 1e9),
             Poses(skeleton, keypoints[i : i + 1] + shift, scores[i : i + 1], points=points[i : i + 1],
                   ids=np.array([7]), states=np.array([TrackState.TRACKED]))) for i in range(T)]  # fmt: skip


@pytest.fixture
def written(tmp_path):
    features.write_npz(collect(person()), tmp_path / "sign.npz")
    with np.load(tmp_path / "sign.npz", allow_pickle=False) as file:
        return dict(file)


def test_names_and_shapes(written):
    names, parts = written["names"].tolist(), written["parts"].tolist()
    assert len(names) == len(set(names)) == 91
    assert [parts.count(part) for part in ("body", "left_hand", "right_hand", "face")] == [7, 21, 21, 42]
    assert written["ids"].tolist() == [7]
    assert written["7/features"].shape == written["7/points"].shape == (T, 91, 3)
    assert written["7/missing"].shape == (T, 91)
    np.testing.assert_allclose(written["seconds"], np.arange(T) / 25, atol=1e-6)


def test_unit_and_origin_are_of_the_shoulders_and_movement_stays(written):
    at = written["names"].tolist().index
    seen = written["7/features"]
    np.testing.assert_allclose(seen[:, at("left_shoulder"), :2], [[0.5, 0]] * T, atol=1e-6)
    np.testing.assert_allclose(seen[:, at("right_shoulder"), :2], [[-0.5, 0]] * T, atol=1e-6)
    np.testing.assert_allclose(seen[:, at("right_hand_forefinger4"), 0], 0.1 * np.arange(T), atol=1e-5)
    np.testing.assert_allclose(seen[0, :, 2], 0.8, atol=1e-6)
    assert written["7/shoulders_px"] == pytest.approx(100)
    assert written["7/shoulders_m"] == pytest.approx(0.4)
    np.testing.assert_allclose(written["7/points"][0, at("left_shoulder")], [0.5, 0, 0], atol=1e-6)


def test_place_in_the_image_does_not_matter(written, tmp_path):
    features.write_npz(collect(person(shift=(70.0, -20.0))), tmp_path / "moved.npz")
    with np.load(tmp_path / "moved.npz") as moved:
        np.testing.assert_allclose(moved["7/features"], written["7/features"], atol=1e-5)


def test_missing_is_zero_and_said_so(tmp_path):
    take = collect([moment for i, moment in enumerate(person()) if i < 3])
    (subject,) = take.subjects
    found = features.features(take, subject)
    parts = [part for part, names in features.parts().items() for _ in names]
    hand = np.flatnonzero(np.array(parts) == "left_hand")
    assert found["missing"][2, hand].all()
    assert found["points_missing"][2, hand].all()
    assert not found["features"][2, hand].any()
    assert not found["missing"][:2].any()


def test_nobody_and_no_shoulders(tmp_path):
    moments = person()
    for _, poses in moments:
        for name in ("left_shoulder", "right_shoulder"):
            poses.keypoints[:, WHOLE.index[name]] = np.nan
    take = collect(moments)
    found = features.features(take, take.subjects[0])
    assert found["missing"].all()
    assert np.isnan(found["shoulders_px"])
    assert not found["features"].any()


def test_people_without_hands_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected whole people with hands, got 'coco17' without left_hand and right"):
        features.write_npz(collect(person(catalogue.get("coco17"))), tmp_path / "sign.npz")


def test_other_whole_body_skeletons_do_as_well(tmp_path):
    take = collect(person(catalogue.get("holistic543")))
    found = features.features(take, take.subjects[0])
    assert not found["missing"][:2].any()
