# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pose_ros.core.crops import Crops
from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.decode.heatmap import dark
from pose_ros.errors import CardError, ConfigError
from pose_ros.estimators.heatmap import HeatmapEstimator, HeatmapOptions
from pose_ros.models.card import Licence, ModelCard, ModelFile
from pose_ros.plugin import Model
from pose_ros.runtime import torch_gpu
from pose_ros.runtime.session import FakeSession, Scaling, Tensor
from pose_ros.skeletons import catalogue

SIZE, MAP = (192, 256), (48, 64)
COCO = catalogue.get("coco17")
#: Keypoints that the network below knows, by the channel of the colour they have in the image.
PAINTED = ("nose", "left_wrist", "right_wrist")


def to_map(crop_xy: np.ndarray, align: str) -> np.ndarray:
    """Return where a family of networks draws what it sees at a place of the crop."""
    if align == "udp":
        return crop_xy * (np.array(MAP) - 1) / (np.array(SIZE) - 1)
    return (crop_xy + 0.5) / 4 - 0.5 if align == "area" else crop_xy / 4


def network(batch: np.ndarray, align: str) -> dict[str, np.ndarray]:
    """Draw a blob where the crop shows a colour. The third colour is the right wrist: mirrored, it is a left one."""
    y, x = np.indices(batch.shape[2:])
    column, row = np.meshgrid(np.arange(MAP[0]), np.arange(MAP[1]))
    maps = np.zeros((len(batch), 17, MAP[1], MAP[0]), np.float32)
    for sample, target in zip(batch.astype(float), maps, strict=True):
        places = {c: np.array([(x * p).sum(), (y * p).sum()]) / p.sum() for c, p in enumerate(sample) if p.sum() > 0}
        # As people are: the left wrist is to the right of the right one, unless the image is mirrored.
        mirrored = 1 in places and 2 in places and places[1][0] < places[2][0]
        for channel, place in places.items():
            name = PAINTED[{1: 2, 2: 1}.get(channel, channel) if mirrored else channel]
            u, v = to_map(place, align)
            target[COCO.index[name]] = np.exp(-((column - u) ** 2 + (row - v) ** 2) / 8)
    return {"heatmaps": maps}


def card(**params: Any) -> ModelCard:
    return ModelCard("tiny", "estimator", "heatmap", "A test.", ModelFile(path="x.onnx"), Licence("MIT"), SIZE,
                     skeleton="coco17", params=params)


def estimator(
    align: str, flip_test: bool = False, session: type[FakeSession] = FakeSession, **params: Any
) -> HeatmapEstimator:
    opened = session(Tensor("image", (-1, 3, 256, 192)), [Tensor("heatmaps", (-1, 17, 64, 48))],
                     lambda batch: network(batch, align))
    return HeatmapEstimator(Model(card(align=align, decoder="dark", **params), opened), HeatmapOptions(flip_test))


def scene(places: dict[int, tuple[float, float]]) -> np.ndarray:
    x, y = np.meshgrid(np.arange(400), np.arange(300))
    image = np.zeros((300, 400, 3))
    for channel, (u, v) in places.items():
        image[..., channel] = 250 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / 18)
    return image.round().astype(np.uint8)


class Cutting(FakeSession):
    """As a session on a GPU, which is given crops that are not cut yet."""

    cuts = True

    def run_crops(self, crops: Crops, scaling: Scaling) -> dict[str, np.ndarray]:
        return self.run(torch_gpu.cut(torch_gpu.Cuts(crops, scaling), "cpu").numpy())


PLACES = {0: (200.3, 100.6), 1: (231.4, 150.2), 2: (170.7, 147.9)}
REGIONS = np.float32([[200, 130, 120, 160, 0], [195, 128, 90, 180, 0.3], [205, 120, 200, 100, -0.5]])


@pytest.mark.parametrize("align", ["corner", "udp", "area"])
def test_keypoints_come_back_to_where_they_were_painted(align):
    poses = estimator(align).estimate(scene(PLACES), REGIONS)
    for channel, name in enumerate(PAINTED):
        np.testing.assert_allclose(poses.keypoint(name), [PLACES[channel]] * len(REGIONS), atol=0.1, err_msg=name)
    unseen = [i for i, name in enumerate(COCO.keypoints) if name not in PAINTED]
    assert np.isnan(poses.keypoints[:, unseen]).all()
    assert (poses.scores[:, unseen] == 0).all()


@pytest.mark.parametrize(("align", "error_px"), [("udp", 0.1), ("area", 0.1), ("corner", 0.6)])
def test_the_mirrored_image_agrees(align, error_px):
    """The shift of "corner" families is a whole pixel of the map where 3/4 would be right: 1/8 of 4 pixels remains."""
    made = estimator(align, flip_test=True)
    poses = made.estimate(scene(PLACES), REGIONS[:1])
    for channel, name in enumerate(PAINTED):
        np.testing.assert_allclose(poses.keypoint(name)[0], PLACES[channel], atol=error_px, err_msg=name)
    assert made.session.calls == [2]
    assert (poses.scores[0, [COCO.index[n] for n in PAINTED]] > 0.9).all(), "both images say the same"


@pytest.mark.parametrize(("align", "flip_test"), [("corner", False), ("udp", False), ("area", False), ("udp", True)])
def test_the_side_that_a_network_does_not_know_is_seen_in_a_mirror(align, flip_test):
    """Two points lie alike in a crop and in its mirror image, of which the network must not know."""
    places = {channel: PLACES[channel] for channel in (0, 1)}
    poses = estimator(align, flip_test, side="right").estimate(scene(places), REGIONS, np.full(3, LEFT, np.uint8))
    for channel, place in places.items():
        np.testing.assert_allclose(poses.keypoint(PAINTED[channel]), [place] * len(REGIONS), atol=0.1, err_msg=align)
    assert poses.sides.tolist() == [LEFT] * 3


@pytest.mark.parametrize(("known", "sides", "mirrored"), [
    ("right", [0, LEFT, RIGHT], [False, True, False]),
    ("left", [0, LEFT, RIGHT], [False, False, True]),
    ("", [0, LEFT, RIGHT], [False, False, False]),
])
def test_only_the_other_side_is_mirrored(known, sides, mirrored):
    shown: list[np.ndarray] = []
    session = FakeSession(Tensor("image", (-1, 3, 256, 192)), [Tensor("heatmaps", (-1, 17, 64, 48))],
                          lambda batch: shown.append(batch) or network(batch, "udp"))
    made = HeatmapEstimator(Model(card(align="udp", side=known), session))
    made.estimate(scene(PLACES), REGIONS[[1, 1, 1]], np.uint8(sides))
    (batch,) = shown
    for seen, other in zip(batch, mirrored, strict=True):
        np.testing.assert_array_equal(seen[..., ::-1] if other else seen, batch[0])


def test_padding_shows_more_of_the_image():
    image = scene({0: (200.3, 30.0)})
    region = np.float32([[200, 130, 100, 160, 0]])
    assert np.isnan(estimator("corner", padding=1.0).estimate(image, region).keypoint("nose")).all()
    found = estimator("corner", padding=1.5).estimate(image, region).keypoint("nose")
    np.testing.assert_allclose(found, [[200.3, 30.0]], atol=0.1)


@pytest.mark.parametrize(("params", "message"), [
    ({"pading": 1.1}, r"model 'tiny': params\.pading: unknown key; did you mean 'padding'"),
    ({"align": "middle"}, r"params\.align: expected one of area, udp, corner, resized; got 'middle'"),
    ({"decoder": "simcc"}, r"params\.decoder: expected one of argmax, dark, udp, combined; got 'simcc'"),
    ({"padding": "wide"}, r"params\.padding: expected float, got str 'wide'"),
    ({"blur_kernel": 10}, r"params\.blur_kernel: expected an odd number, got 10"),
])
def test_a_card_that_does_not_fit_is_refused(params, message):
    session = FakeSession(Tensor("image", (-1, 3, 256, 192)), [Tensor("heatmaps", (-1, 17, 64, 48))], lambda b: {})
    with pytest.raises(CardError, match=message):
        HeatmapEstimator(Model(card(**params), session))


@pytest.mark.parametrize("outputs", [
    [Tensor("a", (-1, 16, 64, 48))], [Tensor("a", (-1, 17, 64, 48))] * 2, [Tensor("a", (-1, 17, 64))],
], ids=str)
def test_a_network_of_another_kind_is_refused(outputs):
    session = FakeSession(Tensor("image", (-1, 3, 256, 192)), outputs, lambda b: {})
    with pytest.raises(CardError, match=r"expected 17 heat maps \(N, 17, H, W\) as only output"):
        HeatmapEstimator(Model(card(), session))


def disks(batch: np.ndarray) -> dict[str, np.ndarray]:
    """Draw a disk and offsets where :func:`network` draws a blob."""
    blobs = network(batch, "udp")["heatmaps"]
    keypoints, scores = dark(blobs)
    x, y = np.arange(MAP[0]), np.arange(MAP[1])[:, None]
    radius = 0.0546875 * max(MAP)
    dx = (keypoints[..., 0, None, None] - x + 0 * y) / radius
    dy = (keypoints[..., 1, None, None] - y + 0 * x) / radius
    maps = np.nan_to_num(np.stack([dx**2 + dy**2 <= 1, dx, dy], axis=2)) * (scores > 0)[..., None, None, None]
    return {"maps": maps.reshape(len(batch), -1, *MAP[::-1]).astype(np.float32)}


@pytest.mark.parametrize("flip_test", [False, True])
def test_offsets_are_added_and_mirrored(flip_test):
    session = FakeSession(Tensor("image", (-1, 3, 256, 192)), [Tensor("maps", (-1, 51, 64, 48))], disks)
    made = HeatmapEstimator(Model(card(align="udp", decoder="combined"), session), HeatmapOptions(flip_test))
    poses = made.estimate(scene(PLACES), REGIONS)
    for channel, name in enumerate(PAINTED):
        np.testing.assert_allclose(poses.keypoint(name), [PLACES[channel]] * len(REGIONS), atol=0.15, err_msg=name)
    unseen = [i for i, name in enumerate(COCO.keypoints) if name not in PAINTED]
    assert np.isnan(poses.keypoints[:, unseen]).all()


def test_a_network_with_offsets_has_one_decoder():
    session = FakeSession(Tensor("image", (-1, 3, 256, 192)), [Tensor("maps", (-1, 51, 64, 48))], disks)
    with pytest.raises(ConfigError, match=r"estimator\.decoder: expected none, because model 'tiny' draws offsets"):
        HeatmapEstimator(Model(card(align="udp", decoder="combined"), session), HeatmapOptions(decoder="dark"))
    with pytest.raises(CardError, match=r"expected 51 heat maps"):
        HeatmapEstimator(Model(card(decoder="combined"), FakeSession(
            Tensor("image", (-1, 3, 256, 192)), [Tensor("maps", (-1, 17, 64, 48))], disks)))


def test_a_map_of_the_background_is_no_keypoint_and_may_be_mirrored():
    def with_background(batch: np.ndarray) -> dict[str, np.ndarray]:
        maps = network(batch, "udp")["heatmaps"]
        return {"maps": np.concatenate([maps, 1 - maps.max(axis=1, keepdims=True)], axis=1)}

    session = FakeSession(Tensor("image", (-1, 3, 256, 192)), [Tensor("maps", (-1, 18, 64, 48))], with_background)
    made = HeatmapEstimator(Model(card(align="udp", decoder="dark", background=1), session), HeatmapOptions(True))
    poses = made.estimate(scene(PLACES), REGIONS[:1])
    for channel, name in enumerate(PAINTED):
        np.testing.assert_allclose(poses.keypoint(name)[0], PLACES[channel], atol=0.1, err_msg=name)


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize(("align", "side"), [("corner", ""), ("udp", "left"), ("area", "right")])
def test_crops_that_are_cut_where_the_network_runs_say_the_same(align, side, flip_test):
    image, sides = scene(PLACES), np.array([LEFT, RIGHT, LEFT], np.uint8)
    here, there = (estimator(align, flip_test, session, side=side).estimate(image, REGIONS, sides)
                   for session in (FakeSession, Cutting))
    assert np.isfinite(here.keypoints).any(axis=(1, 2)).all()
    np.testing.assert_allclose(there.keypoints, here.keypoints, atol=0.05)
    np.testing.assert_allclose(there.scores, here.scores, atol=0.01)
