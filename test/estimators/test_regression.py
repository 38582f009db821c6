# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pose_ros.errors import CardError
from pose_ros.estimators.regression import RegressionEstimator
from pose_ros.estimators.top_down import CropOptions
from pose_ros.models.card import Licence, ModelCard, ModelFile
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor
from pose_ros.skeletons import catalogue

SIZE = (192, 256)
COCO = catalogue.get("coco17")
#: Where the painted colours are in the image: red, green and blue.
PLACES = np.array([[200.3, 100.6], [231.4, 150.2], [170.7, 147.9]])
REGIONS = np.float32([[200, 130, 120, 160, 0], [195, 128, 90, 180, 0.3], [205, 120, 200, 100, -0.5]])


def network(batch: np.ndarray, align: str, numbers: int) -> dict[str, np.ndarray]:
    """Say where colours are: the nose is red, wrists are green and blue; of these the left one is on the right."""
    found = np.full((len(batch), 17, numbers), 0.25, np.float32)
    y, x = np.indices(batch.shape[2:])
    offset, steps = {"corner": (0, SIZE), "area": (0.5, SIZE), "udp": (0, np.array(SIZE) - 1)}[align]
    for sample, target in zip(batch.astype(float), found, strict=True):
        places = [(np.array([(x * p).sum(), (y * p).sum()]) / p.sum() + offset) / steps for p in sample]
        left, right = (1, 2) if places[1][0] > places[2][0] else (2, 1)
        for name, colour in {"nose": 0, "left_wrist": left, "right_wrist": right}.items():
            target[COCO.index[name], :2] = places[colour]
    found[:, COCO.index["left_wrist"], 2:], found[:, COCO.index["right_wrist"], 2:] = 0.1, 0.3
    return {"keypoints": found}


def estimator(
    align: str = "corner", scores: str = "constant", flip_test: bool = False, shape: tuple[int, ...] | None = None
) -> RegressionEstimator:
    params: dict[str, Any] = {"align": align, "scores": scores}
    card = ModelCard("tiny", "estimator", "regression", "A test.", ModelFile(path="x.onnx"), Licence("MIT"), SIZE,
                     skeleton="coco17", params=params)
    numbers = 4 if scores == "sigma" else 2
    shape = shape or (17, numbers)

    def run(batch: np.ndarray) -> dict[str, np.ndarray]:
        return {"keypoints": network(batch, align, numbers)["keypoints"].reshape(len(batch), *shape)}

    session = FakeSession(Tensor("image", (-1, 3, 256, 192)), [Tensor("keypoints", (-1, *shape))], run)
    return RegressionEstimator(Model(card, session), CropOptions(flip_test))


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    x, y = np.meshgrid(np.arange(400), np.arange(300))
    blobs = [np.exp(-((x - u) ** 2 + (y - v) ** 2) / 18) for u, v in PLACES]
    return (250 * np.stack(blobs, axis=2)).round().astype(np.uint8)


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("align", ["corner", "udp", "area"])
def test_keypoints_come_back_to_where_they_were_painted(image, align, flip_test):
    """Also from mirrored crops: had they another shift, their mean with the others would be off by half of it."""
    poses = estimator(align, flip_test=flip_test).estimate(image, REGIONS)
    found = poses.keypoints[:, [COCO.index[n] for n in ("nose", "left_wrist", "right_wrist")]]
    assert np.abs(found - PLACES).max() < 0.05
    assert (poses.scores == 1).all()


@pytest.mark.parametrize("shape", [(17, 4), (68,)])
def test_scores_come_from_sigmas_and_follow_the_names_in_a_mirror(image, shape):
    for flip_test in (False, True):
        scores = estimator(scores="sigma", flip_test=flip_test, shape=shape).estimate(image, REGIONS).scores
        left, right = (0.8, 0.8) if flip_test else (0.9, 0.7)  # the network believes in names, not in wrists
        np.testing.assert_allclose(scores[:, COCO.index["left_wrist"]], left, atol=1e-6)
        np.testing.assert_allclose(scores[:, COCO.index["right_wrist"]], right, atol=1e-6)
        np.testing.assert_allclose(scores[:, COCO.index["nose"]], 0.75, atol=1e-6)


def test_flat_outputs_are_the_same(image):
    np.testing.assert_array_equal(
        estimator(shape=(34,), flip_test=True).estimate(image, REGIONS).keypoints,
        estimator(flip_test=True).estimate(image, REGIONS).keypoints,
    )


@pytest.mark.parametrize(
    ("scores", "shape"), [("constant", (17, 4)), ("constant", (16, 2)), ("sigma", (17, 2)), ("constant", (-1, 2))]
)
def test_refuses_other_outputs(scores, shape):
    with pytest.raises(CardError, match=r"expected \(N, 17, \d\) or \(N, \d+\) as only output, with params.scores"):
        estimator(scores=scores, shape=shape)
