# SPDX-License-Identifier: Apache-2.0
"""ST-GCN, ST-GCN++ and PoseConv3D against mmaction2 1.2.0, replayed from actions.npz: inputs, networks, chances."""

from __future__ import annotations

import dataclasses
import json
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_ros import registry
from pose_ros.models import cards
from pose_ros.networks import catalogue
from pose_ros.networks.export import export
from pose_ros.plugin import Model
from pose_ros.recognisers.base import Clip
from pose_ros.runtime import open_session
from pose_ros.runtime.session import FakeSession, Tensor

DATA = Path(__file__).parents[1] / "data"
sys.path += [str(DATA / "actions"), str(DATA / "networks")]
from people import CASES, SIZE_WH, random_bodies, random_inputs, random_people  # noqa: E402
from weights import random_weights, sample  # noqa: E402

#: Cases of which only the inputs are compared: their network is that of another case, and takes long.
HEAVY = ("maps-flipped", "maps-limbs")


@cache
def recorded():
    with np.load(DATA / "actions/actions.npz") as file:
        return dict(file)


@cache
def network(name):
    """Return the network of a case with the weights that the reference had."""
    card = cards.get(CASES[name][0])
    found = catalogue.build(card.network, card.input_wh)
    shapes = {key: tuple(shape) for key, shape in json.loads(str(recorded()[f"{name}/state"])).items()}
    found.load({key: torch.from_numpy(value) for key, value in random_weights(shapes).items()}, name)
    return found


def run(made, batch):
    with torch.inference_mode():
        return made(torch.from_numpy(np.ascontiguousarray(batch)))[0].numpy()


def recogniser(name, seen=None, card=None):
    """Return the plugin of a case; what its network is given goes into ``seen``."""
    card = card or cards.get(CASES[name][0])
    _, people, moments, clips, flip = CASES[name]
    made = network(name)

    def look(batch):
        if seen is not None:
            seen.append(batch)
        if name in HEAVY:
            return {"logits": np.zeros((len(batch), len(card.classes)), np.float32)}
        own = run(made, batch[: recorded()[f"{name}/shape"][0]])
        return {"logits": np.concatenate([own, np.zeros((len(batch) - len(own), own.shape[1]), np.float32)])}

    shape = made.input_shape(card.input_wh)
    session = FakeSession(Tensor("image", (-1, *shape)), [Tensor("logits", (-1, len(card.classes)))], look)
    plugin = registry.load("recognisers", card.plugin)
    more = {"flip_test": flip} if flip else {}
    options = plugin.Options(window=(moments - 1) * card.params["step"], clips=clips, partner=people > 1,
                             most=len(card.classes), least=0.0, **more)  # fmt: skip
    return plugin(Model(card, session), options)


def clip_of(name, takes):
    _, people, moments, _, _ = CASES[name]
    joints = len(takes)
    shape = (people, moments, joints)
    keypoints, scores = random_people(*shape)
    nothing = np.full((*shape, 3), np.nan)
    points = random_bodies(*shape) if takes.name == "ntu25" else nothing
    stamps = np.arange(moments) * 33_333_333
    none = np.zeros(people, np.int64)
    measures = np.zeros((*shape[:2], 0))
    return Clip(takes, none + 1, stamps, keypoints, scores, points, nothing, measures, none, none, SIZE_WH)


@pytest.mark.parametrize("name", CASES)
def test_sees_and_says_what_the_reference_does(name):
    seen: list[np.ndarray] = []
    made = recogniser(name, seen)
    assert made.steps == CASES[name][2]
    found = [each for each in made.see(clip_of(name, made.takes)) if each.row == 0]
    case = {key.removeprefix(f"{name}/"): value for key, value in recorded().items() if key.startswith(f"{name}/")}
    count = case["shape"][0]
    inputs = seen[0][:count]
    assert inputs.shape == tuple(case["shape"])
    largest = np.abs(case["inputs"]).max()
    np.testing.assert_allclose(sample(inputs, 4000), case["inputs"], atol=2e-4 * largest)
    np.testing.assert_allclose(inputs.sum(dtype=np.float64), case["sum"], rtol=1e-4, atol=1e-2)
    chances = {each.name: each.score for each in found}
    if name in HEAVY:
        return
    expected = {n: c for n, c in zip(made.card.classes, case["chances"], strict=True) if n}
    assert chances == pytest.approx(expected, abs=1e-5)
    assert list(chances) == sorted(chances, key=lambda n: -chances[n])


@pytest.mark.parametrize("name", ["joint", "plus-bone", "body-joint", "hand", "maps", "maps-stretched"])
def test_network_is_the_references(name):
    card = cards.get(CASES[name][0])
    made = network(name)
    logits = run(made, random_inputs(2, made.input_shape(card.input_wh)))
    expected = recorded()[f"{name}/logits"]
    largest = np.abs(expected).max()
    assert np.ptp(expected, axis=0).max() > 0.01 * largest
    assert np.abs(logits - expected).max() < 1e-4 * largest


@pytest.mark.parametrize(
    ("name", "runtime"),
    [("joint", "onnxruntime"), ("plus-bone", "openvino"), ("hand", "onnxruntime"), ("hand", "openvino"),
     ("maps", "onnxruntime")],
)  # fmt: skip
def test_network_as_onnx(name, runtime, tmp_path):
    pytest.importorskip(runtime)
    card = cards.get(CASES[name][0])
    made = network(name)
    export(made, card.input_wh, tmp_path / "made.onnx")
    session = open_session(tmp_path / "made.onnx", runtime=runtime)
    assert [t.shape for t in session.outputs] == [(-1, len(card.classes))]
    assert session.inputs[0].shape == (-1, *made.input_shape(card.input_wh))
    expected = recorded()[f"{name}/logits"]
    (logits,) = session.run(random_inputs(2, made.input_shape(card.input_wh))).values()
    assert np.abs(logits - expected).max() < 1e-3 * np.abs(expected).max()


def test_every_card_builds_what_it_says():
    names = [n for n in cards.names() if cards.get(n).kind == "recogniser" and cards.get(n).network]
    assert len(names) > 20
    built = {}
    for name in names:
        card = cards.get(name)
        key = (str(dict(card.network)), card.input_wh)
        if key not in built:
            with torch.device("meta"):
                made = catalogue.build(card.network, card.input_wh)
                shape = made.input_shape(card.input_wh)
                built[key] = shape, made(torch.zeros(1, *shape))[0].shape[1]
                if card.parameters_m:
                    millions = sum(p.numel() for p in made.parameters()) / 1e6
                    assert millions == pytest.approx(card.parameters_m, rel=0.02, abs=0.06)
        shape, classes = built[key]
        output = [Tensor("logits", (-1, classes))]
        model = Model(card, FakeSession(Tensor("image", (-1, *shape)), output, lambda batch: {}))
        if card.needs:
            assert all(cards.get(n).classes == card.classes for n in card.needs.values())
        plugin = registry.load("recognisers", card.plugin)(model)
        assert plugin.actions == tuple(filter(None, card.classes))


def test_streams_are_averaged_by_their_weight():
    card = cards.get("stgcn-ntu60-2d-4s")
    single = cards.get("stgcn-ntu60-2d-joint")
    chosen = {"": 0, "bone": 1, "joint_motion": 2, "bone_motion": 3}

    def model(role):
        def look(batch):
            return {"logits": 50 * np.eye(60, dtype=np.float32)[np.full(len(batch), chosen[role])]}

        own = card if not role else cards.get(card.needs[role])
        session = FakeSession(Tensor("image", (-1, 2, 100, 17, 3)), [Tensor("logits", (-1, 60))], look)
        return Model(own, session, {r: model(r) for r in own.needs})

    made = registry.load("recognisers", "stgcn")(model(""))
    (keypoints, scores), nothing = random_people(1, 100, 17), np.full((1, 100, 17, 3), np.nan)
    one = np.zeros(1, np.int64)
    measures = np.zeros((1, 100, 0))
    clip = Clip(made.takes, one + 1, np.arange(100), keypoints, scores, nothing, nothing, measures, one, one, SIZE_WH)
    chances = {each.name: each.score for each in made.see(clip)}
    # mmaction2's four streams count 2 : 1 : 2 : 1.
    assert [chances[single.classes[i]] for i in range(4)] == pytest.approx([2 / 6, 2 / 6, 1 / 6, 1 / 6])


def test_only_the_stretch_in_which_a_subject_was_seen_counts():
    seen: list[np.ndarray] = []
    made = recogniser("plus-bone-motion", seen)
    clip = clip_of("plus-bone-motion", made.takes)
    late = clip.keypoints.copy()
    late[:, :40] = np.nan
    made.see(dataclasses.replace(clip, keypoints=late))
    expected: list[np.ndarray] = []
    short = recogniser("plus-bone-motion", expected)
    short.window_s = 59 * short.step_s
    parts = {"keypoints": clip.keypoints[:, 40:], "scores": clip.scores[:, 40:], "stamps_ns": clip.stamps_ns[40:]}
    wide = {"points": clip.points[:, 40:], "local_points": clip.local_points[:, 40:], "measures": clip.measures[:, 40:]}
    short.see(dataclasses.replace(clip, **parts, **wide))
    np.testing.assert_array_equal(seen[0], expected[0])
    careful = registry.load("recognisers", "stgcn")(made.model, type(made.options)(least=0.7))
    assert careful.see(dataclasses.replace(clip, keypoints=late)) == []
