# SPDX-License-Identifier: Apache-2.0
"""Networks that see one subject, with planted maps: DeepLabCut's with offsets, SLEAP's, and files that find peaks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.testing import assert_allclose

from pose_ros.decode import cells
from pose_ros.decode.cells import Cells
from pose_ros.errors import CardError
from pose_ros.estimators.instance import CenteredInstance, SingleInstance, SingleOptions
from pose_ros.estimators.top_down import CropOptions
from pose_ros.models.card import Licence, ModelCard, ModelFile, Preprocess
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

DLC = Cells(stride=8, middle=0.5, offset_px=7.2801)
SLEAP = Cells(stride=2, middle=0, refine="integral")
#: Of a skeleton with five keypoints, where they are in an input of 96 x 64.
PLACES = np.float32([[20.3, 30.6], [70.1, 12.2], [50.0, 40.5], [33.3, 20.9], [80.4, 55.2]])
SIZE = (96, 64)


@pytest.fixture(autouse=True)
def skeleton(tmp_path, monkeypatch):
    (tmp_path / "five.yaml").write_text(
        "keypoints: [nose, left_ear, right_ear, back, tail]\nflip_pairs: [[left_ear, right_ear]]\n"
    )
    monkeypatch.setenv("POSE_ROS_SKELETON_PATH", str(tmp_path))


def drawn(places: np.ndarray, size_wh: tuple[int, int], kind: Cells) -> list[np.ndarray]:
    """Return the maps of one subject, (K, h, w) and with offsets (2 K, h, w)."""
    columns, rows = (-(-side // int(kind.stride)) for side in size_wh)
    y, x = (np.mgrid[:rows, :columns] + kind.middle) * kind.stride
    dx, dy = places[:, 0, None, None] - x, places[:, 1, None, None] - y
    maps = 0.9 * np.exp(-(dx**2 + dy**2) / (2 * (1.25 * kind.stride) ** 2))
    if kind.refine == "integral":
        return [maps.astype(np.float32)]
    offsets = np.stack([dx, dy], axis=1).reshape(-1, rows, columns) / kind.offset_px
    return [maps.astype(np.float32), offsets.astype(np.float32)]


@pytest.mark.parametrize("kind", [DLC, SLEAP], ids=["offsets", "integral"])
def test_keypoints_are_found_within_their_cells(kind):
    maps = [m[None] for m in drawn(PLACES, SIZE, kind)]
    points, scores = cells.decode(maps[0], maps[1] if len(maps) > 1 else None, kind)
    # The centroid of five cells is drawn a little towards the middle one.
    assert_allclose(points[0], PLACES, atol=0.01 if kind is DLC else 0.25)
    assert (scores > 0.7).all()


def test_a_plain_maximum_is_exact_to_half_a_cell():
    points, _ = cells.decode(drawn(PLACES, SIZE, DLC)[0][None], None, DLC)
    assert np.abs(points[0] - PLACES).max() <= 4
    assert np.abs(points[0] - PLACES).max() > 1


def test_logits_become_scores_of_0_to_1():
    maps = drawn(PLACES, SIZE, DLC)[0][None]
    logits = np.log(maps.clip(1e-6) / (1 - maps))
    plain, scores = cells.decode(maps, None, DLC)
    points, found = cells.decode(logits, None, dataclasses.replace(DLC, logits=True))
    assert_allclose(points, plain)
    assert_allclose(found, scores, atol=1e-5)


@pytest.mark.parametrize("kind", [DLC, SLEAP, Cells(4, 0.5), Cells(4, 0)], ids=str)
def test_maps_of_a_mirrored_input_are_mirrored_back(kind):
    flip = np.array([0, 2, 1, 3, 4])
    there = np.stack([SIZE[0] - 1 - PLACES[flip, 0], PLACES[flip, 1]], axis=1)
    maps = [m[None] for m in drawn(there, SIZE, kind)]
    maps += [None] * (2 - len(maps))
    if kind.offset_px == 1 and kind.refine == "none":
        maps[1] = None
    points, _ = cells.decode(*cells.mirrored(*maps, kind, flip, SIZE[0]), kind)
    # Without offsets nothing is finer than a cell.
    assert_allclose(points[0], PLACES, atol=0.01 if kind is DLC else kind.stride * 0.8)


def card(plugin: str, params: dict[str, object], layout: str = "nchw", outputs: tuple[str, ...] = ()) -> ModelCard:
    return ModelCard("test", "estimator", plugin, "A test.", ModelFile(path="x.onnx"), Licence("MIT"), SIZE,
                     Preprocess(layout=layout), skeleton="five", outputs=outputs, params=params)


def model(plugin, params, outputs, *, any_size=False, layout="nchw"):
    """Return an estimator whose network says this, with the batch axis left out, and the inputs that it gets."""
    seen: list[np.ndarray] = []
    names = [f"out{i}" for i in range(len(outputs(SIZE)))]

    def say(batch):
        seen.append(batch)
        rows, columns = batch.shape[2:] if layout == "nchw" else batch.shape[1:3]
        return {n: np.repeat(v[None], len(batch), axis=0) for n, v in zip(names, outputs((columns, rows)), strict=True)}

    image = (-1, 3, *((-1, -1) if any_size else SIZE[::-1]))
    image = image if layout == "nchw" else (image[0], *image[2:], 3)
    shapes = [(-1, *v.shape) for v in outputs(SIZE)]
    if any_size:
        place = 1 if layout == "nchw" else 3
        shapes = [tuple(n if i == place else -1 for i, n in enumerate(s)) if len(s) == 4 else s for s in shapes]
    session = FakeSession(Tensor("image", image), [Tensor(n, s) for n, s in zip(names, shapes, strict=True)], say)
    return Model(card(plugin, params, layout, tuple(names)), session), seen


def last(maps: list[np.ndarray]) -> list[np.ndarray]:
    """Return maps with the channels last."""
    return [m.transpose(1, 2, 0) for m in maps]


PARAMS = {"stride": 8, "align": "resized"}
SLEAP_PARAMS = {"stride": 2, "middle": 0, "refine": "integral"}


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_an_instance_in_a_crop_of_a_third(layout, flip_test):
    """SLEAP's rule: crop and keypoints lie area on area."""
    order = last if layout == "nhwc" else list
    made, seen = model("centered-instance", SLEAP_PARAMS, lambda s: order(drawn(PLACES, s, SLEAP)), layout=layout)
    poses = CenteredInstance(made, CropOptions(flip_test=flip_test)).estimate(
        np.zeros((300, 300, 3), np.uint8), np.float32([[160, 130, 288, 192, 0]])
    )
    assert len(seen[0]) == 1 + flip_test
    if not flip_test:  # with it, the network says the same of the mirrored crop
        assert_allclose(poses.keypoints[0], (PLACES + 0.5) * 3 + [16, 34], atol=0.8)


def test_an_image_is_seen_whole_and_as_high_as_in_training():
    made, seen = model("single-instance", PARAMS, lambda s: drawn(PLACES, s, DLC), any_size=True)
    single = SingleInstance(made)
    poses = single.estimate(np.zeros((64, 96, 3), np.uint8))
    assert seen[0].shape == (1, 3, 64, 96)
    assert_allclose(poses.keypoints[0], PLACES, atol=0.02)
    assert_allclose(poses.subject_scores, poses.scores.mean(axis=1))
    # Of an image of twice the size DeepLabCut multiplies the keypoints by two.
    assert_allclose(single.estimate(np.zeros((128, 192, 3), np.uint8)).keypoints[0], 2 * PLACES, atol=0.04)
    # What is wider than a multiple of 32 has a border, of which half is on the left.
    poses = single.estimate(np.zeros((64, 110, 3), np.uint8))
    assert seen[-1].shape == (1, 3, 64, 128)
    assert_allclose(poses.keypoints[0], PLACES - [9, 0], atol=0.02)
    SingleInstance(made, SingleOptions(net_height=100)).estimate(np.full((64, 96, 3), 255, np.uint8))
    assert seen[-1].shape == (1, 3, 128, 160)
    assert seen[-1].any(axis=(0, 1, 3)).sum() == 100
    assert seen[-1].any(axis=(0, 1, 2)).sum() == 150


def test_an_input_of_one_size_sees_the_image_fitted_into_it():
    made, seen = model("single-instance", SLEAP_PARAMS, lambda s: drawn(PLACES, s, SLEAP))
    poses = SingleInstance(made).estimate(np.zeros((128, 128, 3), np.uint8))
    assert seen[0].shape == (1, 3, 64, 96)
    assert_allclose(poses.keypoints[0], (PLACES + 0.5 - [16, 0]) * 2 - 0.5, atol=0.5)


def test_nobody_is_there_where_nothing_is_sure():
    made, _ = model("single-instance", PARAMS, lambda s: [0.05 * m for m in drawn(PLACES, s, DLC)])
    image = np.zeros((64, 96, 3), np.uint8)
    assert len(SingleInstance(made).estimate(image)) == 0
    assert len(SingleInstance(made, SingleOptions(min_score=0.01)).estimate(image)) == 1


def test_a_file_may_find_the_keypoints_itself():
    """As sleap-nn exports it: x and y in pixels of the input, NaN and 0 where there is nothing."""
    points, scores = PLACES.copy(), np.float32([0.9, 0.8, 0.7, 0.6, 0])
    points[4] = np.nan
    made, _ = model("single-instance", {}, lambda s: [points, scores])
    poses = SingleInstance(made).estimate(np.zeros((64, 96, 3), np.uint8))
    assert_allclose(poses.keypoints[0], points, atol=1e-4)
    assert_allclose(poses.scores[0], scores)
    made, _ = model("centered-instance", {}, lambda s: [points, scores])
    region = np.float32([[47.5, 31.5, 96, 64, 0]])
    assert_allclose(CenteredInstance(made).estimate(np.zeros((64, 96, 3), np.uint8), region).keypoints[0], points,
                    atol=1e-4)
    both = CenteredInstance(made, CropOptions(flip_test=True)).estimate(np.zeros((64, 96, 3), np.uint8), region)
    assert_allclose(both.keypoints[0, 0], [47.5, points[0, 1]], atol=1e-4)


@pytest.mark.parametrize("outputs", [
    [(4, 8, 12)], [(5, 8, 12), (5, 8, 12)], [(5, 8, 12), (10, 8, 12), (4, 8, 12)], [(5,)], [(5, 2), (4,)],
], ids=str)  # fmt: skip
@pytest.mark.parametrize(("plugin", "estimator"), [
    ("single-instance", SingleInstance), ("centered-instance", CenteredInstance),
])  # fmt: skip
def test_other_networks_are_refused(plugin, estimator, outputs):
    made, _ = model(plugin, {}, lambda s: [np.zeros(o, np.float32) for o in outputs])
    with pytest.raises(CardError, match=r"outputs: expected 5 heat maps, or .*got"):
        estimator(made)


def test_a_wrong_word_in_the_card_is_told():
    made, _ = model("single-instance", {"strid": 2}, lambda s: drawn(PLACES, s, SLEAP))
    with pytest.raises(CardError, match=r"params.strid: unknown key; did you mean 'stride'"):
        SingleInstance(made)
