# SPDX-License-Identifier: Apache-2.0
"""Bottom-up estimation from image to people, against the program of HigherHRNet's authors and against planted truth."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pose_ros.errors import CardError, ConfigError
from pose_ros.estimators.embedding import EmbeddingEstimator, EmbeddingOptions
from pose_ros.models.card import Licence, ModelCard, ModelFile
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

DATA = Path(__file__).parents[1] / "data/networks"
sys.path.append(str(DATA))
import planted  # noqa: E402

ORDER = "0 1 2 3 4 5 6 11 12 7 8 9 10 13 14 15 16"
MAPS = [Tensor("a", (-1, 34, -1, -1)), Tensor("b", (-1, 17, -1, -1))]


def estimator(run: Any, options: EmbeddingOptions | None = None, outputs: Any = MAPS, size_wh: Any = (-1, -1),
              **params: Any) -> EmbeddingEstimator:
    card = ModelCard("tiny", "estimator", "embedding", "A test.", ModelFile(path="x.onnx"), Licence("MIT"), (512, 512),
                     skeleton="coco17", params={"order": ORDER, **params})
    return EmbeddingEstimator(Model(card, FakeSession(Tensor("image", (-1, 3, *size_wh[::-1])), outputs, run)), options)


@pytest.mark.parametrize("name", planted.SCENES)
def test_finds_whom_the_authors_find(name):
    """Resizing, the mirror image, several scales, the maps of both sizes, grouping, and the way back."""
    scene = planted.SCENES[name]

    def network(batch: np.ndarray) -> dict[str, np.ndarray]:
        seen = [scene.maps(batch.shape[:1:-1], mirrored) for mirrored in (False, True)[: len(batch)]]
        if len(scene.scales) > 1 and min(batch.shape[2:]) != 512:
            for coarse, _ in seen:
                coarse[17:] = 99  # tags of other sizes than the model's own say nothing
        return {"a": np.stack([coarse for coarse, _ in seen]), "b": np.stack([fine for _, fine in seen])}

    options = EmbeddingOptions(flip_test=scene.flip_test, scales=" ".join(map(str, scene.scales)))
    made = estimator(network, options)
    poses = made.estimate(np.zeros((*scene.image_wh[::-1], 3), np.uint8))
    with np.load(DATA / "higherhrnet.npz") as file:
        expected, scores = file[f"{name}/people"], file[f"{name}/scores"]
    assert len(poses) == len(expected) == scene.people
    assert made.session.calls == [1 + scene.flip_test] * len(scene.scales)
    best = np.argsort(-scores)
    np.testing.assert_allclose(poses.keypoints, expected[best][..., :2], atol=0.02)
    np.testing.assert_allclose(poses.scores, expected[best][..., 2], atol=1e-5)
    np.testing.assert_allclose(poses.subject_scores, scores[best], atol=1e-5)


def paint(batch: np.ndarray, align: str) -> dict[str, np.ndarray]:
    """Draw the nose of somebody where the image is red; his tag is 0 on the left of the input, and 5 on the right."""
    _, _, height, width = batch.shape
    sizes = {step: (width // step, height // step) for step in (4, 2)}
    found = {step: np.zeros((len(batch), 17, *size[::-1]), np.float32) for step, size in sizes.items()}
    for row, sample in enumerate(batch):
        red, left = np.where(sample[0] > 30, sample[0], 0), np.arange(width) < width / 2
        for half in (red * left, red * ~left):
            if half.max() <= 100:
                continue
            place = np.array([np.average(np.indices(half.shape)[axis], weights=half) for axis in (1, 0)])
            for step, size in sizes.items():
                # Corner pixels stay where they are; or a pixel shows the middle of those that it covers.
                at = place * (np.array(size) - 1) / (np.array([width, height]) - 1) if align == "udp" else (
                    place / step - 0.5)
                blob = planted.blobs(at, size, 4 / step)
                found[step][row, 0] = np.maximum(found[step][row, 0], blob)
    tags = np.where(np.arange(width // 4) < width // 8, 0.0, 5.0) + np.zeros_like(found[4])
    return {"a": np.concatenate([found[4], tags.astype(np.float32)], axis=1), "b": found[2]}


def scene(image_wh: tuple[int, int], places: list[tuple[float, float]]) -> np.ndarray:
    image = np.zeros((image_wh[1], image_wh[0], 3))
    for place in places:
        image[..., 0] = np.maximum(image[..., 0], 250 * planted.blobs(np.array(place), image_wh, 4))
    return image.round().astype(np.uint8)


IMAGES = {"landscape": (640, 480), "portrait": (300, 401), "panorama": (1200, 200), "small": (97, 61)}


@pytest.mark.parametrize("align", ["corner", "udp"])
@pytest.mark.parametrize("image_wh", IMAGES.values(), ids=IMAGES)
@pytest.mark.parametrize("fixed", [False, True], ids=["any size", "fixed size"])
def test_keypoints_come_back_to_where_they_were_painted(image_wh, align, fixed):
    places = [(0.2 * image_wh[0], 0.3 * image_wh[1]), (0.8 * image_wh[0], 0.6 * image_wh[1])]
    made = estimator(lambda batch: paint(batch, align), size_wh=(512, 448) if fixed else (-1, -1), align=align)
    poses = made.estimate(scene(image_wh, places))
    assert len(poses) == 2
    found = poses.keypoints[:, 0][np.argsort(poses.keypoints[:, 0, 0])]
    # Pixels of the image that one of the finer map shows; it is exact to half of one, with UDP to much less.
    pixels = 2 * max(image_wh) / 512 if fixed else 2 * max(min(image_wh) / 512, max(image_wh) / 2048)
    assert np.abs(found - places).max() < pixels * (0.55 if align == "corner" else 0.2)
    assert np.isnan(poses.keypoints[:, 1:]).all()


def test_the_longer_side_grows_in_steps_and_not_for_ever():
    made = estimator(lambda batch: paint(batch, "corner"))
    sizes = []
    run = made.session.run
    made.session.run = lambda batch, *rest: (sizes.append(batch.shape[2:]), run(batch, *rest))[1]
    for width, height in ((640, 480), (480, 640), (500, 500), (5000, 100), (1, 1)):
        made.estimate(np.zeros((height, width, 3), np.uint8))
    assert sizes == [(512, 704), (704, 512), (512, 512), (512, 2048), (512, 512)]


def test_without_finer_maps_and_without_enlarging():
    places = [(130.0, 100.0), (500.0, 300.0)]
    for outputs, full_size in ((MAPS, False), (MAPS[:1], True), (MAPS[:1], False)):
        made = estimator(lambda batch: paint(batch, "corner"), EmbeddingOptions(full_size=full_size), outputs=outputs)
        poses = made.estimate(scene((640, 480), places))
        found = poses.keypoints[:, 0][np.argsort(poses.keypoints[:, 0, 0])]
        assert np.abs(found - places).max() < 4


def test_options_reach_the_decoder():
    image = scene((640, 480), [(130.0, 100.0), (500.0, 300.0)])
    assert len(estimator(lambda b: paint(b, "corner"), EmbeddingOptions(min_keypoint_score=1.0)).estimate(image)) == 0
    # Both have a nose, so they are two all the same.
    assert len(estimator(lambda b: paint(b, "corner"), EmbeddingOptions(max_tag_distance=9)).estimate(image)) == 2


@pytest.mark.parametrize(("params", "message"), [
    ({"order": "0 1 2"}, r"model 'tiny': params\.order: expected each of 0 \.\. 16 once, got 0 1 2"),
    ({"order": "0 nose"}, r"params\.order: expected numbers, got '0 nose'"),
    ({"align": "area"}, r"params\.align: expected one of corner, udp; got 'area'"),
    ({"padding": 1.0}, r"params\.padding: unknown key"),
])
def test_a_card_that_does_not_fit_is_refused(params, message):
    with pytest.raises(CardError, match=message):
        estimator(lambda b: {}, **params)


@pytest.mark.parametrize("outputs", [
    [Tensor("a", (-1, 17, -1, -1))], [*MAPS, MAPS[1]], [MAPS[1], MAPS[0]], [Tensor("a", (-1, 34))],
], ids=str)
def test_a_network_of_another_kind_is_refused(outputs):
    with pytest.raises(CardError, match=r"expected maps \(N, 34, H, W\), and perhaps \(N, 17, 2 H, 2 W\)"):
        estimator(lambda b: {}, outputs=outputs)


@pytest.mark.parametrize(("scales", "message"), [
    ("one", "expected numbers, got 'one'"), ("0.5 2", "1 among them, got '0.5 2'"), ("", "1 among them, got ''"),
    ("1 0", "between 0.1 and 8"), ("1 100", "between 0.1 and 8"),
])
def test_scales_that_cannot_be_are_refused(scales, message):
    with pytest.raises(ConfigError, match=rf"estimator\.scales: .*{message}"):
        estimator(lambda b: {}, EmbeddingOptions(scales=scales))


def test_a_file_of_a_fixed_size_has_one_scale():
    with pytest.raises(ConfigError, match=r"the input of this file is fixed to \(512, 512\); got '1 2'"):
        estimator(lambda b: {}, EmbeddingOptions(scales="1 2"), size_wh=(512, 512))
