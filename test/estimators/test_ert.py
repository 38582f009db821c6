# SPDX-License-Identifier: Apache-2.0
"""dlib's shape predictors against dlib itself, replayed from dlib.npz; and what is ours around them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_ros.errors import CardError, ModelMissingError
from pose_ros.estimators.ert import Ert, ErtOptions
from pose_ros.models import cards
from pose_ros.models.store import Store
from pose_ros.plugin import Model
from pose_ros.runtime import open_session
from pose_ros.runtime.session import FakeSession, Tensor

RECORDED = np.load(Path(__file__).parents[1] / "data/face68/dlib.npz")


def read(path):
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


@pytest.fixture(scope="module", params=[5, 68])
def estimator(request):
    return made(f"dlib-{request.param}")


@pytest.fixture(scope="module")
def dlib68():
    return made("dlib-68")


def made(name):
    store = Store()
    card = store.card(name)
    try:
        path = store.path(card)
    except ModelMissingError as error:
        pytest.skip(str(error))
    return Ert(Model(card, open_session(path, name=name, outputs=card.outputs)))


def regions(rectangles):
    """Return regions of dlib's rectangles, whose right and bottom belong to them."""
    left, top, right, bottom = np.float64(rectangles).T
    return np.stack([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top, 0 * left], axis=1)


def test_points_are_those_of_dlib(estimator, testdata):
    """To the last bit before dlib rounds them, or one would come out on the other side."""
    count = 0
    for name in sorted({key.rpartition("/")[0] for key in RECORDED.files}):
        found = estimator.look(read(testdata / name), regions(RECORDED[f"{name}/rectangles"]))
        expected = RECORDED[f"{name}/{len(estimator.skeleton)}"]
        np.testing.assert_array_equal(np.floor(found + 0.5), expected, name)
        count += len(found)
    assert count == 81


def test_points_are_those_that_dlib_was_published_with(dlib68, testdata):
    """But for three rectangles that are no squares: dlib itself finds points up to 3 pixels away there."""
    folder = testdata / "face/dlib_faces"
    count = 0
    for image in ET.parse(folder / "training_with_face_landmarks.xml").getroot().iter("image"):
        for box in image.iter("box"):
            left, top, width, height = (int(box.attrib[key]) for key in ("left", "top", "width", "height"))
            expected = [(int(part.attrib["x"]), int(part.attrib["y"])) for part in box.iter("part")]
            rectangle = regions([[left, top, left + width - 1, top + height - 1]])
            found = dlib68.look(read(folder / image.attrib["file"]), rectangle)[0]
            np.testing.assert_allclose(np.floor(found + 0.5), expected, atol=0 if width == height else 3)
            count += width == height
    assert count == 15


def test_turned_regions_give_turned_points(dlib68, testdata):
    """A quarter of a turn moves pixels exactly."""
    image = read(testdata / "face/300w/indoor_020.png")
    upright = np.float64([[333, 420, 440, 440, 0]])
    turned = np.rot90(image, -1)  # clockwise: x, y -> height - 1 - y, x
    x, y = image.shape[0] - 1 - upright[0, 1], upright[0, 0]
    there = dlib68.look(turned, np.array([[x, y, 440, 440, np.pi / 2]]))[0]
    here = dlib68.look(image, upright)[0]
    np.testing.assert_allclose(np.stack([image.shape[0] - 1 - here[:, 1], here[:, 0]], axis=1), there, atol=1.5)


def test_what_is_outside_the_image_is_missing(dlib68, testdata):
    image = read(testdata / "face/300w/indoor_020.png")
    region = np.float32([[333, 440, 640, 640, 0]])
    whole, half = dlib68.estimate(image, region), dlib68.estimate(image[:, :350], region)
    assert (whole.scores == 1).all()
    seen = np.isfinite(half.keypoints[0]).all(axis=1)
    assert 20 < seen.sum() < 60
    assert (half.scores[0] == seen).all()
    assert (half.keypoints[0, seen, 0] < 349.5).all()


def test_a_second_look_forgives_a_box_that_does_not_fit(dlib68, testdata):
    image = read(testdata / "face/300w/indoor_020.png")
    best = dlib68.estimate(image, np.float32([[333, 440, 700, 700, 0]])).keypoints[0]
    distances = []
    for looks in (1, 2):
        found = Ert(dlib68.model, ErtOptions(looks=looks)).estimate(image, np.float32([[333, 440, 1200, 1200, 0]]))
        distances.append(np.nanmean(np.linalg.norm(found.keypoints[0] - best, axis=1)))
    assert distances[1] < 0.3 * distances[0]


def test_refuses_a_cascade_of_other_points():
    card = cards.get("dlib-68")
    outputs = [Tensor("points", (-1, 5, 2)), Tensor("places", (-1, 15, 500, 3))]
    with pytest.raises(CardError, match=r"expected outputs \(N, 68, 2\)"):
        Ert(Model(card, FakeSession(Tensor("pixels", (-1, 637, 1, 1)), outputs, dict)))
