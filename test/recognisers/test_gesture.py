# SPDX-License-Identifier: Apache-2.0
"""Gestures: the two small networks on their recordings, and by what they are told."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pose_ros import wiring
from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.errors import CardError, ConfigError
from pose_ros.models import cards
from pose_ros.models.card import ModelFile
from pose_ros.plugin import Model
from pose_ros.recognisers.base import Clip
from pose_ros.recognisers.gesture import Gesture, GestureOptions
from pose_ros.runtime import open_session
from pose_ros.runtime.session import FakeSession, Tensor

#: Card -> its file and recordings, and the share of them that it has to know: a fourth of those that it learnt from.
RECORDED = {"gesture-sign": ("keypoint", 0.94), "gesture-path": ("point_history", 0.93)}
WIDTH = 1000


def recogniser(testdata, name, **options):
    card = cards.get(name)
    path = testdata / f"models/action/{RECORDED[name][0]}_classifier.onnx"
    return Gesture(Model(card, open_session(path, outputs=card.outputs)), GestureOptions(**options))


def recording(testdata, name):
    """Return labels (N,) and places (N, points, 2)."""
    kind = RECORDED[name][0]
    rows = np.loadtxt(testdata / f"action/{kind}_classifier/{kind}.csv", delimiter=",")
    return rows[:, 0].astype(int), rows[:, 1:].reshape(len(rows), -1, 2)


def clip_of(made, places):
    """Return hands (N, T, 21, 2) in pixels whose shapes, or whose forefingers' tips, are at places."""
    n = len(places)
    if made.steps == 1:
        keypoints = 100 * places[:, None] + 500
    else:
        keypoints = np.full((n, made.steps, 21, 2), np.nan)
        keypoints[:, :, made.takes.index["forefinger4"]] = places * WIDTH + 100
    nothing = np.full((*keypoints.shape[:3], 3), np.nan)
    none = np.zeros(n, np.int64)
    stamps, scores, sides = np.arange(made.steps) * 33_333_333, np.ones(keypoints.shape[:3]), np.arange(n) % 2
    return Clip(made.takes, none + 1, stamps, keypoints, scores, nothing, nothing, np.zeros((n, made.steps, 0)),
                np.where(sides, LEFT, RIGHT), none, (WIDTH, WIDTH))


def best(found, made, n):
    """Return the best class of each hand (n,)."""
    scores = np.full((n, len(made.actions)), np.nan)
    for seen in found:
        scores[seen.row, made.actions.index(seen.name)] = seen.score
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-4)
    return scores.argmax(axis=1)


@pytest.mark.parametrize("name", RECORDED)
def test_knows_its_recordings(testdata, name):
    made = recogniser(testdata, name, mirror=False)
    labels, places = recording(testdata, name)
    found = best(made.see(clip_of(made, places)), made, len(labels))
    assert (found == labels).mean() > RECORDED[name][1]


@pytest.mark.parametrize("name", RECORDED)
def test_mirror_image_is_what_the_authors_looked_at(testdata, name):
    _, places = recording(testdata, name)
    straight, mirrored = recogniser(testdata, name, mirror=False), recogniser(testdata, name)
    one = straight.see(clip_of(straight, places[:50]))
    other = mirrored.see(clip_of(mirrored, places[:50] * (-1, 1)))
    assert [s.name for s in one] == [s.name for s in other]
    np.testing.assert_allclose([s.score for s in one], [s.score for s in other], atol=1e-4)
    assert {s.side for s in one} == {LEFT, RIGHT}


def test_clockwise_in_the_mirror_is_counter_clockwise_in_the_image(testdata):
    made = recogniser(testdata, "gesture-path", mirror=False)
    labels, places = recording(testdata, "gesture-path")
    turns = places[labels == made.actions.index("clockwise")]
    found = best(made.see(clip_of(made, turns * (-1, 1))), made, len(turns))
    assert (found == made.actions.index("counter_clockwise")).mean() > 0.9


@pytest.mark.parametrize("name", RECORDED)
def test_size_and_place_of_hands(testdata, name):
    made = recogniser(testdata, name)
    _, places = recording(testdata, name)
    clip = clip_of(made, places[:20])
    moved = dataclasses.replace(clip, keypoints=clip.keypoints + np.array([30, -70]))
    scores = [s.score for s in made.see(clip)]
    np.testing.assert_allclose([s.score for s in made.see(moved)], scores, atol=1e-4)
    larger = dataclasses.replace(clip, keypoints=2 * clip.keypoints, size_wh=(2 * WIDTH, 2 * WIDTH))
    np.testing.assert_allclose([s.score for s in made.see(larger)], scores, atol=1e-4)


def test_says_nothing_of_what_it_does_not_see_whole(testdata):
    made = recogniser(testdata, "gesture-path")
    clip = clip_of(made, recording(testdata, "gesture-path")[1][:3])
    clip.keypoints[1, 4] = np.nan
    assert {s.row for s in made.see(clip)} == {0, 2}
    assert made.see(dataclasses.replace(clip, size_wh=(0, 0))) == []
    one_point = np.zeros((1, 1, 21, 2)) + 50
    sign = recogniser(testdata, "gesture-sign")
    assert sign.see(dataclasses.replace(clip_of(sign, np.zeros((1, 21, 2))), keypoints=one_point)) == []


def test_refuses_a_network_with_other_inputs():
    card = cards.get("gesture-sign")
    for inside, outside in ((40, 3), (42, 4)):
        session = FakeSession(Tensor("input", (-1, inside)), [Tensor("out", (-1, outside))], lambda batch: {})
        with pytest.raises(CardError, match=r"expected an input \(N, 42\)"):
            Gesture(Model(card, session))


@pytest.fixture
def own_card(testdata, tmp_path, monkeypatch):
    """Give the two cards the files of the test data, as a user's own."""
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(tmp_path))
    path = testdata / "models/action/keypoint_classifier.onnx"
    (tmp_path / "own-sign.yaml").write_text(
        f"{{kind: recogniser, plugin: gesture, summary: A sign., file: {{path: '{path}'}}, "
        "licence: {weights: Apache-2.0}, input_wh: [42, 1], skeleton: hand21, outputs: ['Add__18:0'], "
        "params: {sees: shape}, classes: [open, close, pointer]}\n")  # fmt: skip


def test_is_opened_by_the_name_of_its_card(own_card):
    made = wiring.recogniser({"model": "own-sign", "device": "cpu", "recogniser": {"mirror": False}})
    assert made.options.mirror is False
    assert (made.subject, made.steps, made.actions) == ("hand", 1, ("open", "close", "pointer"))
    with pytest.raises(ConfigError, match=r"expected a recogniser .*'yolox-nano' is a detector"):
        wiring.recogniser("yolox-nano")
    with pytest.raises(ConfigError, match="mirror"):
        wiring.recogniser({"model": "own-sign", "recogniser": {"miror": False}})


def test_files_are_those_of_the_test_data(testdata):
    import hashlib

    for name, (kind, _) in RECORDED.items():
        file: ModelFile = cards.get(name).file
        data = (testdata / f"models/action/{kind}_classifier.onnx").read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (file.sha256, file.size)
