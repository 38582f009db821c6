# SPDX-License-Identifier: Apache-2.0
"""Bottom-up estimation with part affinity fields, with planted people and with a real network of flies."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pose_ros.errors import CardError
from pose_ros.estimators.paf import PafEstimator, PafOptions
from pose_ros.models import cards
from pose_ros.models.card import ModelCard
from pose_ros.models.store import Store
from pose_ros.networks import catalogue as networks
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor
from pose_ros.skeletons import catalogue
from pose_ros.wiring import build

DATA = Path(__file__).parents[1] / "data/networks"
sys.path.append(str(DATA))
import paf_scenes  # noqa: E402

#: SLEAP publishes no ONNX file, so that no card is shipped; this is what a user writes.
FLIES = """
kind: estimator
plugin: paf
summary: Two points of flies, a test network of SLEAP.
file: {path: flies.onnx}
licence: {weights: "The Clear BSD License, academic and research use only", non_commercial: true}
input_wh: [384, 384]
preprocess: {color: gray, layout: nhwc, std: [255, 255, 255]}
skeleton: fly2
outputs: [MultiInstanceConfmapsHead_0, PartAffinityFieldsHead_0]
params:
  rule: sleap
  limbs: 0-1
  channels: 0,1
  upsample: 1
  multiple: 8
  # SLEAP puts the first pixel of a map on the first of the image.
  offset: -0.5
  peak_threshold: 0.2
  limb_fraction: 0.8
  min_keypoints: 2
"""


def paf(card: ModelCard, maps: list[np.ndarray] | None = None, **options: Any) -> tuple[PafEstimator, list[np.ndarray]]:
    """Return an estimator whose network draws these maps, and the list of the inputs that it gets."""
    seen: list[np.ndarray] = []
    k, c = len(catalogue.get(card.skeleton)), 2 * len(str(card.params["limbs"]).split())

    def run(batch: np.ndarray) -> dict[str, np.ndarray]:
        seen.append(batch)
        size = tuple(n // 8 for n in batch.shape[2:])
        drawn = maps or [np.zeros((k + 1, *size), np.float32), np.zeros((c, *size), np.float32)]
        return dict(zip(card.outputs, (m[None] for m in drawn), strict=True))

    outputs = [Tensor(n, (-1, channels, -1, -1)) for n, channels in zip(card.outputs, (k + 1, c), strict=True)]
    session = FakeSession(Tensor("image", (-1, 3, -1, -1)), outputs, run)
    return PafEstimator(Model(card, session), PafOptions(**options)), seen


def changed(card: ModelCard, **params: Any) -> ModelCard:
    return dataclasses.replace(card, params={**card.params, **params})


@pytest.mark.parametrize("scene", ["one", "five", "thirty"])
@pytest.mark.parametrize(("model", "kind"), [("openpose-body25", "body25"), ("openpose-coco", "coco18"),
                                             ("openpose-mpi", "mpi15")])
def test_openpose_brings_people_back_to_the_image(model, kind, scene):
    """An image twice as large as the input; half a pixel is what the authors add."""
    planted, heatmaps, fields = paf_scenes.scenes(kind)[scene]
    estimator, _ = paf(cards.get(model), [heatmaps, fields])
    poses = estimator.estimate(np.zeros((736, 1312, 3), np.uint8))
    assert len(poses) == len(planted)
    expected = planted * (735 / 367) + 0.5
    order = [np.nanmean(np.abs(poses.keypoints - person), axis=(1, 2)).argmin() for person in expected]
    assert sorted(order) == list(range(len(planted)))
    # Two pixels of the image are one of the input; see test/decode/test_paf.py for the rest.
    assert (np.abs(poses.keypoints[order] - expected) < 2).mean() > 0.99
    assert ((poses.subject_scores > 0.5) & (poses.subject_scores <= 1)).all()
    assert len(poses.to(catalogue.get("coco17"))) == len(planted)


@pytest.mark.parametrize(("image_wh", "input_wh", "left"), [((1280, 720), (456, 256), 0), ((360, 720), (256, 256), 64)])
def test_lightweight_openpose_brings_people_back_to_the_image(image_wh, input_wh, left):
    """Its peaks are whole pixels of maps enlarged four times, two of the input apart, so that one is off by 1."""
    rng = np.random.default_rng(2)
    people = paf_scenes.bodies("coco18", np.array([[110.0, 130], [180, 120]]), np.array([65.0, 75]), rng)
    _, heatmaps, fields = paf_scenes.draw("coco18", people, input_wh)
    estimator, seen = paf(cards.get("lightweight-openpose"), [heatmaps, fields])
    poses = estimator.estimate(np.zeros((*image_wh[::-1], 3), np.uint8))
    assert seen[0].shape == (1, 3, *input_wh[::-1])
    assert len(poses) == 2
    scale = 256 / 720
    expected = (people - [left, 0] + 0.5) / scale - 0.5 + 0.5
    order = np.argsort(poses.keypoints[:, 1, 0])
    errors = poses.keypoints[order] - expected
    assert np.abs(errors).max() < 1.4 / scale
    assert np.abs(errors.mean()) < 0.3 / scale


SIZES = {
    "openpose-coco": {(1280, 720): (656, 368), (640, 480): (496, 368), (480, 640): (272, 368), (4000, 500): (656, 368),
                      (1, 1): (368, 368), (1, 300): (16, 368)},
    "lightweight-openpose": {(1280, 720): (456, 256), (620, 480): (336, 256), (480, 640): (256, 256),
                             (4000, 500): (1024, 256), (1, 1): (256, 256)},
}  # fmt: skip


@pytest.mark.parametrize(("model", "image_wh", "input_wh"), [(m, a, b) for m, v in SIZES.items() for a, b in v.items()])
def test_the_input_follows_the_shape_of_the_image(model, image_wh, input_wh):
    estimator, seen = paf(cards.get(model))
    assert len(estimator.estimate(np.zeros((*image_wh[::-1], 3), np.uint8))) == 0
    assert seen[0].shape == (1, 3, *input_wh[::-1])


def test_the_height_of_the_input_is_an_option():
    estimator, seen = paf(cards.get("openpose-coco"), net_height=170)
    estimator.estimate(np.zeros((720, 1280, 3), np.uint8))
    assert seen[0].shape == (1, 3, 176, 320)


def test_the_image_is_scaled_and_placed_as_by_the_authors():
    image = np.random.default_rng(0).integers(0, 256, (360, 450, 3), np.uint8)
    # Smooth, because OpenCV 4 takes pixels from the nearest 32nd of a pixel only.
    image = cv2.GaussianBlur(image, (0, 0), 3)
    estimator, seen = paf(cards.get("lightweight-openpose"))
    estimator.estimate(image)
    # From their demo: resize, (x - 128) / 256, and columns of zeros on both sides.
    small = cv2.resize(image[..., ::-1], None, fx=256 / 360, fy=256 / 360, interpolation=cv2.INTER_LINEAR)
    expected = np.zeros((256, 320, 3), np.float32)
    assert small.shape[1] == 320
    expected[:] = (small.astype(np.float32) - 128) / 256
    assert np.abs(seen[0][0].transpose(1, 2, 0) - expected).max() < 1.6 / 256
    estimator.estimate(np.full((400, 200, 3), 200, np.uint8))
    assert np.flatnonzero(seen[1][0, 0, 128]).tolist() == list(range(64, 192))
    estimator.estimate(np.full((64, 64, 3), 200, np.uint8))
    assert (seen[2] == 72 / 256).all(), "an image that is enlarged does not fade into what is around it"
    estimator, seen = paf(cards.get("openpose-coco"))
    estimator.estimate(image[:, :400])
    # From resizeFixedAspectRatio and uCharCvMatToFloatPtr: warpAffine with one scale, x / 256 - 0.5.
    scale = min(415 / 399, 367 / 359)
    small = cv2.warpAffine(image[:, :400, ::-1].copy(), np.float64([[scale, 0, 0], [0, scale, 0]]), (416, 368),
                           flags=cv2.INTER_LINEAR)
    theirs, ours = small / 256 - 0.5, seen[0][0].transpose(1, 2, 0)
    # Their last column is blended with the black beside the image.
    assert np.abs(theirs - ours)[:, :408].max() < 1.6 / 256
    assert (ours[:, 410:] == -0.5).all()


def test_options_replace_what_the_card_says():
    _, heatmaps, fields = paf_scenes.scenes("coco18")["hidden"]
    image = np.zeros((368, 656, 3), np.uint8)
    found = {}
    for name, options in {"own": {}, "whole": {"min_keypoints": 6}, "sure": {"peak_threshold": 0.99},
                          "score": {"min_score": 1.99}, "fraction": {"limb_fraction": 1.0}}.items():
        found[name] = len(paf(cards.get("openpose-coco"), [heatmaps, fields], **options)[0].estimate(image))
    assert found == {"own": 4, "whole": 2, "sure": 0, "score": 0, "fraction": 0}


BAD = {
    "limbs: expected pairs such as '0-1' of numbers below 18, got '1-18'": {"limbs": "1-18", "channels": "0,1"},
    "limbs: expected pairs .* got 'neck-nose'": {"limbs": "neck-nose"},
    "channels: expected pairs such as '0,1' .* got '12-13'": {"channels": "12-13"},
    "channels: expected one pair for each of the limbs, got 1 for 19": {"channels": "0,1"},
    "channels: expected one pair for each of the limbs, got 0 for 0": {"limbs": "", "channels": ""},
    "attach: expected some of the limbs, got '3-17'": {"attach": "3-17"},
    "uncounted: expected keypoints 0 .. 17, got '18'": {"uncounted": "18"},
    "rule: expected one of openpose, lightweight, sleap; got 'mine'": {"rule": "mine"},
    "no_such_key: unknown key": {"no_such_key": 1},
}


@pytest.mark.parametrize(("problem", "params"), BAD.items(), ids=BAD)
def test_wrong_cards_are_refused(problem, params):
    card = cards.get("openpose-coco")
    session = paf(card)[0].session
    with pytest.raises(CardError, match=rf"params\.{problem}"):
        PafEstimator(Model(changed(card, **params), session))


SHAPES = {
    "other keypoints": ((-1, 18 + 3, -1, -1), (-1, 38, -1, -1), (-1, 3, -1, -1)),
    "fewer fields": ((-1, 19, -1, -1), (-1, 28, -1, -1), (-1, 3, -1, -1)),
    "one size": ((-1, 19, 46, 82), (-1, 38, 46, 82), (-1, 3, 368, 656)),
    "no maps": ((-1, 19), (-1, 38), (-1, 3, -1, -1)),
}


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_other_networks_are_refused(shapes):
    *outputs, image = shapes
    session = FakeSession(Tensor("image", image), [Tensor(n, s) for n, s in zip("ab", outputs, strict=True)], dict)
    with pytest.raises(CardError, match=r"expected .* got"):
        PafEstimator(Model(cards.get("openpose-coco"), session))


def test_a_checkpoint_runs_through_the_whole_pipeline(tmp_path):
    network = networks.build({"architecture": "lightweight_openpose"})
    torch.save({"state_dict": network.state_dict(), "iter": 370000}, tmp_path / "checkpoint_iter_370000.pth")
    store = Store(tmp_path / "models", offline=True)
    store.fetch(store.card("lightweight-openpose"), source=tmp_path / "checkpoint_iter_370000.pth")
    pipeline = build("lightweight-openpose", store)
    assert pipeline.source.device == f"torch {torch.__version__} on cpu"
    for size in ((120, 160, 3), (160, 90, 3)):
        assert len(pipeline.source.estimator.estimate(np.zeros(size, np.uint8)).skeleton) == 18


@pytest.fixture
def flies(tmp_path, monkeypatch):
    """The folder of a user's card and skeleton."""
    (tmp_path / "flies.yaml").write_text(FLIES)
    (tmp_path / "fly2.yaml").write_text("keypoints: [a, b]\nedges: [[a, b]]\n")
    monkeypatch.setenv("POSE_ROS_MODEL_PATH", str(tmp_path))
    monkeypatch.setenv("POSE_ROS_SKELETON_PATH", str(tmp_path))
    return tmp_path


def test_flies_are_found_in_the_maps_of_sleap(flies):
    """The network was fitted on this frame alone; sleap.npz says where its authors see the flies."""
    card = cards.get("flies")
    with np.load(DATA / "sleap.npz") as file:
        maps, truth = [file[name].astype(np.float32) for name in card.outputs], file["truth"]
    session = FakeSession(
        Tensor("input", (-1, -1, -1, 1)), [Tensor(name, (-1, -1, -1, -1)) for name in card.outputs],
        lambda batch: dict(zip(card.outputs, (m[None] for m in maps), strict=True)),
    )  # fmt: skip
    poses = PafEstimator(Model(card, session)).estimate(np.zeros((384, 384, 3), np.uint8))
    assert len(poses) == 2
    order = np.argsort(poses.keypoints[:, 0, 0])
    np.testing.assert_allclose(poses.keypoints[order], truth[np.argsort(truth[:, 0, 0])], atol=1.0)
    assert (poses.scores > 0.8).all()


def test_sleaps_network_runs_from_a_users_card(flies, testdata):
    (flies / "flies.onnx").symlink_to(testdata / "models/animal/sleap_minimal_instance.UNet.bottomup.onnx")
    pipeline = build("flies", Store(flies / "store", offline=True, accept_licences=["flies"]))
    rng = np.random.default_rng(0)
    for size in ((384, 384, 3), (100, 300, 3), (1, 1, 3)):
        poses = pipeline.source.estimator.estimate(rng.integers(0, 256, size, np.uint8))
        assert poses.keypoints.shape[1:] == (2, 2)
