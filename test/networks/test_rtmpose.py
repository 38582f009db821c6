# SPDX-License-Identifier: Apache-2.0
"""RTMPose, RTMW and SimCC against mmpose, replayed from simcc.npz; see test/data/networks/README.md."""

from __future__ import annotations

from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from replay import Case, Exported, prepared, run
from simcc_models import NAMED, RUN, tuned
from simcc_planted import BOXES, picture

from pose_ros.core.regions import boxes_to_regions
from pose_ros.errors import ConfigError, ModelCorruptError
from pose_ros.estimators.simcc import SimccEstimator, SimccOptions
from pose_ros.models import cards
from pose_ros.models.card import Licence, ModelCard, ModelFile
from pose_ros.networks import catalogue
from pose_ros.networks.export import export
from pose_ros.plugin import Model
from pose_ros.runtime import open_session
from pose_ros.runtime.session import FakeSession, Tensor
from pose_ros.skeletons import catalogue as skeletons

OUTPUTS = ("simcc_x", "simcc_y")


@pytest.fixture(scope="module", params=RUN)
def reference(request):
    case, model = Case("simcc", request.param), RUN[request.param]
    network = catalogue.build(model.network, model.input_wh)
    network.load(case.state(tuned), request.param)
    return case, model, network


@pytest.fixture(scope="module", params=["torch", "onnx"])
def outputs(request, reference, tmp_path_factory):
    """Vectors of one and of four crops, and of their mirror images."""
    case, model, network = reference
    how = partial(run, network) if request.param == "torch" else Exported(
        network, model.input_wh, tmp_path_factory.mktemp("simcc"))
    return case, model, {n: [how(prepared(crops)) for crops in (case.crops(n), case.crops(n)[:, :, ::-1])]
                         for n in (1, 4)}


def test_gives_the_same_vectors(outputs):
    case, _, vectors = outputs
    for n, name in product((1, 4), OUTPUTS):
        assert case.error(n, name, vectors[n][0][name]) < 1e-4


def test_decodes_to_the_same_keypoints(outputs):
    case, model, vectors = outputs
    for n, kind in product((1, 4), ("straight", "flipped")):
        made = estimator(model, vectors[n], flip_test=kind == "flipped")
        width, height = model.input_wh
        region = np.float32([[width / 2, height / 2, width, height, 0]] * n)
        poses = made.estimate(np.zeros((height, width, 3), np.uint8), region)
        scores = case[f"{n}/{kind}/scores"]
        seen = scores > 0
        assert seen.mean() > 0.9
        assert (np.isfinite(poses.keypoints).all(axis=2) == seen).all()
        np.testing.assert_allclose(poses.keypoints[seen], case[f"{n}/{kind}/keypoints"][seen], atol=0.02)
        np.testing.assert_allclose(poses.scores, np.clip(scores, 0, 1), atol=1e-4)


def estimator(model, both, flip_test) -> SimccEstimator:
    """Return an estimator whose network gives these vectors for crops and for their mirror images."""
    width, height = model.input_wh
    card = ModelCard("test", "estimator", "simcc", "A test.", ModelFile(path="x.onnx"), Licence("MIT"),
                     model.input_wh, skeleton=model.skeleton, params={"padding": 1.0})
    joined = {name: np.concatenate([each[name] for each in both]) for name in OUTPUTS}
    session = FakeSession(Tensor("image", (-1, 3, height, width)),
                          [Tensor(name, (-1, *value.shape[1:])) for name, value in joined.items()],
                          lambda batch: {name: value[: len(batch)] for name, value in joined.items()})
    return SimccEstimator(Model(card, session), SimccOptions(flip_test=flip_test))


@pytest.mark.filterwarnings("ignore:.*meta parameter")
@pytest.mark.parametrize("name", NAMED)
def test_takes_the_weights_of_larger_networks(name):
    with torch.device("meta"):
        network = catalogue.build(NAMED[name].network, NAMED[name].input_wh)
        network.load(Case("simcc", name).empty(), name)


def test_refuses_the_weights_of_another_size_of_input():
    with torch.device("meta"):
        network = catalogue.build(RUN["rtmpose-t"].network, (288, 384))
    with pytest.raises(ModelCorruptError, match=r"head\.cls_x\.weight has shape \(384, 256\) in place of \(576, 256\)"):
        network.load(Case("simcc", "rtmpose-t").empty(), "t.pth")


def test_refuses_sizes_that_are_none():
    with pytest.raises(ConfigError, match=r"network\.size: expected one of n, t, s, m, l, x; got 'xl'"):
        catalogue.build({"architecture": "rtmpose", "size": "xl", "keypoints": 17}, (192, 256))


def _checkpoints() -> dict[str, ModelCard]:
    """Return a card of each network, of the families that are run by the plugin."""
    shipped = Path(cards.__file__).parent / "cards"
    families = [yaml.safe_load(path.read_text()) for path in sorted(shipped.glob("*.yaml"))]
    names = [n for f in families if f.get("shared", {}).get("plugin") == "simcc" for n in f["models"]]
    return {f"{c.network} {c.input_wh}": c for c in map(cards.get, names) if c.network}


@pytest.mark.parametrize("card", _checkpoints().values(), ids=lambda card: card.name)
def test_every_card_of_a_checkpoint_builds_its_network(card):
    with torch.device("meta"):
        network = catalogue.build(card.network, card.input_wh)
        x, y = network(torch.empty(1, 3, *card.input_wh[::-1]))
    k = len(skeletons.get(card.skeleton))
    assert (x.shape, y.shape) == ((1, k, 2 * card.input_wh[0]), (1, k, 2 * card.input_wh[1]))
    if card.parameters_m:
        # As published, rounded.
        assert sum(p.numel() for p in network.parameters()) / 1e6 == pytest.approx(card.parameters_m, rel=0.005)


@pytest.fixture(scope="module", params=["torch", "onnxruntime"])
def rtmpose(request, tmp_path_factory):
    """A checkpoint of RTMPose-t opened by its card, and the same as ONNX."""
    folder, card = tmp_path_factory.mktemp("rtmpose"), cards.get("rtmpose-t-pth")
    state = Case("simcc", "rtmpose-t").state(tuned)
    if request.param == "torch":
        torch.save({"meta": {}, "state_dict": state}, folder / "t.pth")
    else:
        network = catalogue.build(card.network, card.input_wh)
        network.load(state, "t")
        export(network, card.input_wh, folder / "t.onnx")
    path = folder / ("t.pth" if request.param == "torch" else "t.onnx")
    how = {"network": card.network, "input_wh": card.input_wh}
    return Model(card, open_session(path, device="cpu", runtime=request.param, **how))


@pytest.mark.parametrize("kind", ["straight", "flipped"])
def test_finds_in_boxes_of_a_picture_what_mmpose_finds_there(rtmpose, kind):
    """From the crop of the box to pixels of the picture."""
    poses = SimccEstimator(rtmpose, SimccOptions(flip_test=kind == "flipped")).estimate(
        picture(), boxes_to_regions(BOXES))
    expected = Case("simcc", "pipeline")
    sure = expected[f"{kind}/sure"]
    assert sure.mean() > 0.7
    np.testing.assert_allclose(poses.keypoints[sure], expected[f"{kind}/keypoints"][sure], atol=0.02)
    # OpenCV 4, which mmpose had, rounds the place of each pixel of the crop to 1/32; pixels differ by up to 4 from 5's.
    np.testing.assert_allclose(poses.scores, np.clip(expected[f"{kind}/scores"], 0, 1), atol=0.01)


def test_finds_what_rtmlib_finds_with_its_score(rtmpose):
    poses = SimccEstimator(rtmpose, SimccOptions(score="mean")).estimate(picture(), boxes_to_regions(BOXES))
    expected, sure = Case("rtmlib", "rtmpose-t"), Case("simcc", "pipeline")["straight/sure"]
    np.testing.assert_allclose(poses.keypoints[sure], expected["keypoints"][sure], atol=0.02)
    np.testing.assert_allclose(poses.scores, np.clip(expected["scores"], 0, 1), atol=0.01)
