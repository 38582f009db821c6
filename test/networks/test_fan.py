# SPDX-License-Identifier: Apache-2.0
"""Face alignment networks against those of their authors, replayed from fan.npz."""

from __future__ import annotations

import dataclasses
from functools import lru_cache

import numpy as np
import planted
import pytest
import torch
import weights
from replay import Case, Exported, run, runner

from pose_ros.errors import CardError, ModelCorruptError
from pose_ros.estimators import fan
from pose_ros.models import cards
from pose_ros.networks import catalogue
from pose_ros.networks.network import Network
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

FACES = 2


@lru_cache(maxsize=1)
def loaded(name):
    case = Case("fan", name)
    network = catalogue.build({"architecture": "face_alignment" if name == "fan-4" else "face_depth"})
    network.load(case.state(), name)
    return case, network


@pytest.mark.parametrize("how", ["torch", "onnx"])
def test_every_stack_draws_the_same_maps(how, tmp_path_factory):
    case, network = loaded("fan-4")
    run_it = runner(how, network, case, tmp_path_factory)
    for n in (1, 4):
        found = run_it(cards.get("fan-2d").preprocess(case.crops(n)))
        assert max(case.error(n, output, found[output]) for output in network.outputs) < 1e-4


def maps(seed=0):
    return planted.noisy_blobs(FACES, 68, (64, 64), sigma=1.0, seed=seed)[1]


def estimator(name, network, flip_test=False, **needs):
    """Return an estimator whose network says always the same, and which looks at the pixels of a region as they are."""
    card = cards.get(name)
    card = dataclasses.replace(card, params={"align": "area", "padding": 1.0})
    session = FakeSession(Tensor("image", (-1, 3, 256, 256)), [Tensor("heatmaps_4", (-1, 68, 64, 64))], network)
    return fan.Fan(Model(card, session, needs), fan.Fan.Options(flip_test=flip_test))


def estimate(made):
    """Return poses in pixels of the crops, which lie side by side in one image."""
    crops = weights.random_crops(FACES, (256, 256))
    left = np.arange(FACES) * 256
    regions = np.stack([left + 127.5, left * 0 + 127.5, left * 0 + 256, left * 0 + 256, left * 0], axis=1)
    poses = made.estimate(np.ascontiguousarray(np.concatenate(list(crops), axis=1)), regions.astype(np.float32))
    return poses, poses.keypoints - np.stack([left, left * 0], axis=1)[:, None]


@pytest.mark.parametrize("kind", ["straight", "flipped"])
def test_finds_planted_points_where_the_authors_do(kind):
    """They count the middle of the first pixel as 0.5, and add the maps of mirror images where we take the mean."""
    both = {"heatmaps_4": np.concatenate([maps(), maps(seed=1)])}
    made = estimator("fan-2d", lambda batch: {"heatmaps_4": both["heatmaps_4"][: len(batch)]}, kind == "flipped")
    poses, found = estimate(made)
    expected, scores = (Case("fan", "depth")[f"{kind}/{what}"] for what in ("keypoints", "scores"))
    # At the outermost pixels of the maps, the authors move nothing in y where x is there, and we do.
    inside = ((expected > 4) & (expected < 252)).all(axis=2)
    assert inside.mean() > 0.8
    np.testing.assert_allclose(found[inside], expected[inside] - 0.5, atol=0.02)
    assert np.abs(found - expected + 0.5).max() < 1.01
    np.testing.assert_allclose(poses.scores, scores / (2 if kind == "flipped" else 1), atol=1e-5)


def test_draws_points_as_the_authors_do():
    """Also where they reach over the border."""
    case = Case("fan", "depth")
    drawn = fan._drawn(case["straight/keypoints"].astype(np.float64), (256, 256))
    np.testing.assert_allclose(weights.sample(drawn, 4000), case["drawn"], atol=1e-6)
    np.testing.assert_allclose(drawn.sum(axis=(2, 3)), case["sums"], rtol=1e-4)
    nothing = fan._drawn(np.array([[[np.nan, np.nan], [-20, 30], [300, 30], [0, 30]]]), (256, 256))
    assert (nothing == 0).all()


def test_depth_makes_points_in_metres():
    case = Case("fan", "depth")
    crops, drawn = case.crops(FACES), fan._drawn(case["straight/keypoints"].astype(np.float64), (256, 256))

    def depth(batch):
        np.testing.assert_array_equal(batch[:, :3], cards.get("fan-3d").preprocess(crops))
        # Points at the border of the maps are a pixel aside.
        same = np.abs(batch[:, 3:] - drawn).max(axis=(2, 3)) < 1e-6
        assert same.mean() > 0.8
        return {"depth": case[f"{FACES}/depth"]}

    session = FakeSession(Tensor("image", (-1, 71, 256, 256)), [Tensor("depth", (-1, 68))], depth)
    made = estimator("fan-3d", lambda _: {"heatmaps_4": maps()}, depth=Model(cards.get("fan-depth"), session))
    poses, found = estimate(made)
    root, index = poses.skeleton.root, poses.skeleton.index
    # Away from the camera, where the authors count towards it.
    pixels = np.concatenate([found, -case[f"{FACES}/depth"][..., None]], axis=2)
    pixels -= pixels[:, root, None]
    apart = np.linalg.norm(pixels[:, index["right_eye_0"]] - pixels[:, index["left_eye_3"]], axis=1)
    np.testing.assert_allclose(poses.local_points, pixels * (0.089 / apart)[:, None, None], atol=1e-5)
    assert session.calls == [FACES]


def test_depth_of_the_same_input_is_that_of_the_authors():
    case, network = loaded("depth")
    image = cards.get("fan-3d").preprocess(case.crops(FACES))
    drawn = fan._drawn(case["straight/keypoints"].astype(np.float64), (256, 256))
    found = run(network, np.concatenate([image, drawn], axis=1))["depth"]
    expected = case[f"{FACES}/depth"]
    assert case.difference(FACES, "depth", found) < 1e-4
    # With random weights, depth hardly depends on the image: what is the same must be far less than that.
    assert np.abs(found - expected).max() < 0.01 * np.ptp(expected, axis=0).max()


def test_networks_with_more_than_an_image_are_exported(tmp_path):
    class Sum(Network):
        channels = 71

        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv2d(71, 2, 1)

        def forward(self, image):
            return (self.layer(image),)

    network = Sum().eval()
    batch = np.random.default_rng(7).random((3, 71, 8, 8), np.float32)
    expected = run(network, batch)["output"]
    np.testing.assert_allclose(Exported(network, (8, 8), tmp_path)(batch)["output"], expected, atol=1e-5)


def test_refuses_a_part_that_does_not_fit():
    card = cards.get("fan-depth")
    session = FakeSession(Tensor("image", (-1, 3, 256, 256)), [Tensor("depth", (-1, 68))], dict)
    with pytest.raises(CardError, match=r"expected \(N, 71, 256, 256\) -> \(N, 68\)"):
        estimator("fan-3d", dict, depth=Model(card, session))


@pytest.mark.filterwarnings("ignore:.*meta parameter")
def test_takes_names_as_checkpoints_have_them():
    """The second network was saved as a parallel one."""
    with torch.device("meta"):
        state = {f"module.{k}": v for k, v in Case("fan", "depth").empty().items()}
        catalogue.build({"architecture": "face_depth"}).load(state, "depth.pth.tar")
        with pytest.raises(ModelCorruptError, match="is not known"):
            catalogue.build({"architecture": "face_alignment", "stacks": 2}).load(Case("fan", "fan-4").empty(), "2")
