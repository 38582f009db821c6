# SPDX-License-Identifier: Apache-2.0
"""HaMeR against its authors' network, smplx's MANO, and the authors' whole way from a picture to points."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import replay
import torch
from hamer_weights import BOXES, RIGHT, image, tune

from pose_ros.core.poses import LEFT
from pose_ros.core.poses import RIGHT as RIGHT_SIDE
from pose_ros.core.regions import boxes_to_regions
from pose_ros.decode.mano import HandModel, project
from pose_ros.errors import ConfigError, ModelCorruptError, UnknownNameError
from pose_ros.estimators.hamer import Hamer, HamerOptions
from pose_ros.models import cards, mano
from pose_ros.networks import catalogue
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

SIZE = (192, 256)
SHAPES = {"rotations": (16, 3, 3), "betas": (10,), "camera": (3,)}


def build(**arguments):
    return catalogue.build({"architecture": "hamer", **arguments}, SIZE)


@cache
def loaded():
    case, network = replay.Case("hamer", "small"), build(size="small", decoder_layers=2)
    network.load(case.state(tune), "reference")
    return case, network


@pytest.mark.parametrize("how", ["torch", "onnx"])
def test_outputs_are_those_of_the_reference(how, tmp_path_factory):
    case, network = loaded()
    run = replay.runner(how, network, case, tmp_path_factory)
    for n in (1, 4):
        outputs = run(replay.prepared(case.crops(n)))
        assert {name: value.shape[1:] for name, value in outputs.items()} == SHAPES
        for name, value in outputs.items():
            assert case.error(n, name, value) < 1e-4


def test_hands_are_those_of_smplx(mano_file):
    case, network = loaded()
    model = HandModel(**mano.read(mano_file))
    for n in (1, 4):
        outputs = replay.run(network, replay.prepared(case.crops(n)))
        vertices, points = model(outputs["rotations"], outputs["betas"])
        assert vertices.dtype == points.dtype == np.float32
        assert case.error(n, "vertices", vertices) < 1e-4
        assert case.error(n, "points", points) < 1e-4
        # Theirs are in widths of the crop.
        assert case.error(n, "pixels", project(points, outputs["camera"], 256, 5000.0) / 256) < 1e-4


def test_names_and_shapes_are_those_of_the_reference():
    shapes = replay.Case("hamer", "huge").shapes
    assert {"initialized", "mano.v_template", "discriminator.betas_out.bias"} <= shapes.keys()
    with torch.device("meta"):
        build().load(replay.Case("hamer", "huge").empty(), "reference")


def test_whole_way_is_the_authors(mano_file):
    """Boxes of both sides, over the border, and so large that the picture is smoothed."""
    case, (_, network) = replay.Case("hamer", "whole"), loaded()
    seen = []

    def run(batch):
        seen.append(batch)
        return replay.run(network, batch)

    outputs = [Tensor(name, (-1, *shape)) for name, shape in SHAPES.items()]
    session = FakeSession(Tensor("image", (-1, 3, 256, 192)), outputs, run)
    estimator = Hamer(Model(cards.get("hamer"), session), HamerOptions(mano=str(mano_file)))
    sides = np.where(RIGHT, RIGHT_SIDE, LEFT)
    poses, vertices, _ = estimator.mesh(image(), boxes_to_regions(BOXES), sides)
    # Versions of OpenCV round differently, by 0.1 grey values on average, and random weights make much of it.
    assert np.abs(replay.weights.sample(seen[0], 2000) - case["crops"]).mean() < 0.005
    size = BOXES[:, 2:] - BOXES[:, :2]
    crop = 2 * np.maximum(size[:, 1], size[:, 0] * 4 / 3)
    assert (np.abs(poses.keypoints - case["pixels"]).max(axis=(1, 2)) < 5e-4 * crop).all()
    expected = case["points"]
    np.testing.assert_allclose(poses.local_points, expected - expected[:, :1], atol=1e-3)
    np.testing.assert_allclose(
        replay.weights.sample(vertices + expected[:, :1], 600), case["vertices"], atol=1.5e-3
    )


def test_what_does_not_fit_is_named():
    with torch.device("meta"):
        network = build(size="small")
        state = {key: value for key, value in network.state_dict().items() if "decpose" not in key}
        with pytest.raises(ModelCorruptError, match=r"mano_head\.decpose\.bias is missing"):
            network.load(state, "cut")
    with pytest.raises(UnknownNameError, match="size of ViTPose 'tiny'"):
        build(size="tiny")
    with pytest.raises(ConfigError, match="expected multiples of 16, got 190 x 256"):
        build(input_wh=(190, 256))
