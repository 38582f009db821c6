# SPDX-License-Identifier: Apache-2.0
"""Hourglasses against mmpose, princeton-vl and anibali, replayed from hourglass.npz."""

from __future__ import annotations

from functools import lru_cache, partial
from itertools import product

import numpy as np
import planted
import pytest
import torch
from estimating import Remembered, estimate, estimator
from replay import Case, run, runner

from pose_ros.errors import ModelCorruptError
from pose_ros.models import cards
from pose_ros.networks import catalogue

#: Case -> the card of such weights.
CARDS = {
    "mmpose-1": "hourglass52-mpii",
    "mmpose-2": "hourglass52-mpii",
    "princeton-2": "hourglass-2-princeton",
    "anibali-2": "hourglass-2-bearpaw",
}
RUNS = [
    ("mmpose-1", "torch"), ("mmpose-1", "onnx"), ("princeton-2", "torch"), ("princeton-2", "onnx"),
    ("anibali-2", "torch"),
]  # fmt: skip


def build(case):
    name = "corner_hourglass" if case.startswith("mmpose") else "hourglass"
    stem = {"stem": [128, 256]} if case.startswith("anibali") else {}
    return catalogue.build({"architecture": name, "stacks": int(case[-1]), "keypoints": 16, **stem})


@lru_cache(maxsize=1)
def loaded(name):
    case, network = Case("hourglass", name), build(name)
    network.load(case.state(), name)
    return case, network


@pytest.fixture(scope="module", params=RUNS, ids="-".join)
def reference(request, tmp_path_factory):
    """Case, names of outputs, and the network, run in one way or another."""
    name, runtime = request.param
    case, network = loaded(name)
    how = runner(runtime, network, case, tmp_path_factory)
    return name, case, network.outputs, Remembered(how)


def test_every_stack_draws_the_same_maps(reference):
    check_maps(*reference)


def test_two_stacks_of_mmpose_draw_the_same_maps():
    """Nobody has released such weights."""
    case, network = loaded("mmpose-2")
    check_maps("mmpose-2", case, network.outputs, partial(run, network))


def check_maps(name, case, outputs, how):
    assert outputs == tuple(f"heatmaps_{i + 1}" for i in range(int(name[-1])))
    for n in (1, 4):
        found = how(cards.get(CARDS[name]).preprocess(case.crops(n)))
        assert max(case.error(n, output, found[output]) for output in outputs) < 1e-4


def test_estimates_the_same_keypoints(reference):
    name, case, outputs, how = reference
    for n, kind in product((1, 4), ("straight", "flipped")):
        made = estimator(CARDS[name], last(name, outputs, how), tuple(case["size_wh"].tolist()), kind == "flipped")
        assert compare(made, estimate(made, case.crops(n)), case, f"{n}/{kind}").any()


@pytest.mark.parametrize("name", ["princeton-2", "anibali-2"])
def test_finds_planted_blobs_where_their_decoders_do(name):
    case = Case("hourglass", name)
    _, maps = planted.noisy_blobs(4, 16, (64, 64), sigma=1.0)
    made = estimator(CARDS[name], lambda batch: {cards.get(CARDS[name]).outputs[0]: maps[: len(batch)]}, (256, 256))
    assert compare(made, estimate(made, np.zeros((4, 256, 256, 3), np.uint8)), case, "planted").mean() > 0.7


def last(name, outputs, how):
    """Return the network with its last maps alone, under the name that the card has for them."""
    return lambda batch: {cards.get(CARDS[name]).outputs[0]: how(batch)[outputs[-1]]}


def compare(made, poses, case, key):
    """Compare poses with recorded ones and return which are away from the outermost pixels of the maps.

    There, each reference has another rule to move the maximum or not. Both repositories of Newell's hourglass count
    from the crop's corner, where we count from the centre of its first pixel.
    """
    expected = case[f"{key}/keypoints"] - np.float32(0.5 if made.align == "area" else 0)
    scores = case[f"{key}/scores"]
    seen = np.isfinite(poses.keypoints).all(axis=2)
    assert (seen == (scores > 0)).all()
    inside = seen & ((expected > 8) & (expected < np.array(made.card.input_wh) - 11)).all(axis=2)
    np.testing.assert_allclose(poses.keypoints[inside], expected[inside], atol=0.02)
    np.testing.assert_allclose(poses.keypoints[seen], expected[seen], atol=1.01)
    np.testing.assert_allclose(poses.scores, np.clip(scores, 0, 1), atol=1e-4)
    return inside


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize("name", ["mmpose-8", "princeton-8", "anibali-1", "anibali-8"])
def test_takes_the_weights_of_other_numbers_of_stacks(name):
    with torch.device("meta"):
        build(name).load(Case("hourglass", name).empty(), name)


@pytest.mark.filterwarnings("ignore:.*meta parameter")
def test_takes_names_as_checkpoints_have_them():
    """princeton-vl saves a trainer around a parallel network, bearpaw a parallel one; mmpose once had another head."""
    for name, change in {
        "princeton-2": lambda key: f"model.module.{key}",
        "anibali-2": lambda key: f"module.{key}",
        "mmpose-1": lambda key: key.replace("head.", "keypoint_head."),
    }.items():
        with torch.device("meta"):
            build(name).load({change(k): v for k, v in Case("hourglass", name).empty().items()}, name)


def test_refuses_other_numbers_of_stacks():
    with torch.device("meta"), pytest.raises(ModelCorruptError, match="is not known"):
        build("princeton-2").load(Case("hourglass", "princeton-8").empty(), "checkpoint.pt")
    with torch.device("meta"), pytest.raises(ModelCorruptError, match="is missing"):
        build("anibali-8").load(Case("hourglass", "anibali-2").empty(), "hg2.pth")
