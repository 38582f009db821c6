# SPDX-License-Identifier: Apache-2.0
"""Lifters that see even steps: what goes into the network, and what comes out of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from pose_ros.errors import CardError, ConfigError
from pose_ros.lifters.sequence import SequenceLifter, SequenceOptions
from pose_ros.models import cards
from pose_ros.networks import catalogue
from pose_ros.plugin import Model
from pose_ros.runtime.session import FakeSession, Tensor

NAMES = [name for name in cards.names() if cards.get(name).kind == "lifter"]


class Network:
    """Remembers what it is given; says the joints of a person's mirror image where sides were exchanged."""

    def __init__(self, card, every=False, joints=17):
        """Take the input of a card; ``every`` moment is lifted, or the one in the middle."""
        width, moments = card.input_wh
        self.batches, self._every = [], every
        shape = (moments, joints, 3) if every else (joints, 3)
        image = Tensor("image", (-1, card.preprocess.channels, moments, width))
        self.session = FakeSession(image, [Tensor("points", (-1, *shape))], self)

    def __call__(self, batch):
        """Return (x, y, moment) of each keypoint, from the root."""
        self.batches.append(batch)
        time = np.broadcast_to(np.arange(batch.shape[2])[:, None], batch[:, 0].shape)
        points = np.stack([batch[:, 0], batch[:, 1], time], axis=3).astype(np.float32)
        return {"points": points if self._every else points[:, points.shape[1] // 2]}


def make(name, every=False, card=None, **options):
    card = card or cards.get(name)
    network = Network(card, every)
    return SequenceLifter(Model(card, network.session), SequenceOptions(**options)), network


def past(lifter, value=None, n=1):
    """Return keypoints that are at their moment's number, or at one value, and scores."""
    shape = (n, lifter.window, len(lifter.takes))
    keypoints = np.broadcast_to(np.arange(lifter.window, dtype=np.float32)[None, :, None, None], (*shape, 2)).copy()
    if value is not None:
        keypoints[:] = value
    return keypoints, np.full(shape, 0.25, np.float32)


@pytest.mark.parametrize(("name", "size_wh", "pixel", "unit"), [
    ("videopose3d-27", (1000, 1002), (1000, 1002), (1, 1.002)), ("videopose3d-27", (640, 480), (0, 0), (-1, -0.75)),
    ("motionbert-lite", (640, 480), (640, 240), (4 / 3, 0)), ("motionbert-lite", (480, 640), (240, 0), (0, -4 / 3)),
    ("martinez-h36m", (500, 400), (250, 100), (500, 200)),
])  # fmt: skip
def test_coordinates_are_those_of_the_training(name, size_wh, pixel, unit):
    lifter, network = make(name, every="bert" in name)
    lifter.lift(*past(lifter, pixel), size_wh)
    np.testing.assert_allclose(network.batches[0][0, :2, 0, 0], unit, atol=1e-6)


def test_scores_go_where_they_are_wanted():
    for name, channels in (("motionbert-lite", 3), ("videopose3d-27", 2)):
        lifter, network = make(name, every="bert" in name)
        lifter.lift(*past(lifter), (640, 480))
        assert network.batches[0].shape[1] == channels
    lifter, network = make("motionbert-lite", every=True)
    lifter.lift(*past(lifter), (640, 480))
    assert (network.batches[0][:, 2] == 0.25).all()


@pytest.mark.parametrize("ahead", [0, 5, 13])
def test_what_is_lifted_is_in_the_middle_and_the_future_is_like_the_newest(ahead):
    lifter, network = make("videopose3d-27", ahead=ahead)
    assert (lifter.window, lifter.ahead) == (14 + ahead, ahead)
    lifter.lift(*past(lifter), (1000, 1000))
    seen = np.rint(network.batches[0][0, 0, :, 0] * 500 + 500)
    np.testing.assert_array_equal(seen, np.minimum(np.arange(27), 13 + ahead))


@pytest.mark.parametrize("ahead", [0, 100])
def test_every_moment_can_be_lifted_where_the_network_says_all(ahead):
    lifter, _ = make("motionbert-lite", every=True, ahead=ahead)
    assert (lifter.window, lifter.ahead) == (243, ahead)
    keypoints, scores = past(lifter)
    keypoints[:, :, 0] = 0
    points = lifter.lift(keypoints, scores, (1000, 1000))
    assert points[0, 5, 0] == pytest.approx(2 * (242 - ahead) / 500)
    assert points[0, 0].tolist() == [0, 0, 0]


def test_mirror_image_is_averaged():
    lifter, network = make("videopose3d-27", flip_test=True)
    rng = np.random.default_rng(3)
    keypoints, scores = past(lifter)
    keypoints = rng.uniform(0, 640, keypoints.shape).astype(np.float32)
    points = lifter.lift(keypoints, scores, (640, 480))
    assert network.session.calls == [2]
    straight, mirrored = network.batches[0]
    np.testing.assert_allclose(mirrored[0], -straight[0][:, lifter.takes.flip_index])
    np.testing.assert_allclose(mirrored[1], straight[1][:, lifter.takes.flip_index])
    # This network says the same of both.
    plain, _ = make("videopose3d-27")
    np.testing.assert_allclose(points, plain.lift(keypoints, scores, (640, 480)), atol=1e-6)


def test_mirror_image_of_pixels_is_within_the_image():
    lifter, network = make("martinez-h36m", flip_test=True)
    lifter.lift(*past(lifter, (100, 50)), (500, 400))
    assert network.batches[0][:, 0, 0, 0].tolist() == [200, 800]


def test_scale_of_what_is_seen_as_in_an_image():
    assert make("videopose3d-27")[0].metres_per_pixel((640, 480)) == 0
    assert make("motionbert-lite", every=True)[0].metres_per_pixel((640, 480)) == pytest.approx(2 / 240)
    assert make("motionbert-h36m", every=True)[0].metres_per_pixel((1000, 1002)) == pytest.approx(0.004)


@pytest.mark.parametrize(("change", "message"), [
    ({"params": {"coordinates": "inches"}}, r"params\.coordinates: expected one of width, side, pixels"),
    ({"params": {"no": 1}}, r"params\.no: unknown key"),
    ({"skeleton": "coco18"}, "expected an input 17 wide .* got 17 and"),
    ({"input_wh": (21, 27)}, "expected an input 17 wide .* got 21 and"),
])  # fmt: skip
def test_a_card_that_does_not_fit_is_refused(change, message):
    card = dataclasses.replace(cards.get("videopose3d-27"), **change)
    with pytest.raises(CardError, match=message):
        make("", card=card)


def test_cannot_look_further_ahead_than_it_sees():
    with pytest.raises(ConfigError, match=r"lifter\.ahead: expected at most 13 with 'videopose3d-27', got 14"):
        make("videopose3d-27", ahead=14)
    with pytest.raises(ConfigError, match=r"at most 0 with 'martinez-h36m'"):
        make("martinez-h36m", ahead=1)


@pytest.mark.parametrize("name", NAMES)
def test_network_of_every_card_fits_the_plugin(name):
    card = cards.get(name)
    width, moments = card.input_wh
    with torch.device("meta"), torch.inference_mode():
        network = catalogue.build(card.network, card.input_wh)
        (found,) = network(torch.zeros(1, network.channels, moments, width))
    assert network.channels == card.preprocess.channels
    session = FakeSession(Tensor("image", (-1, network.channels, moments, width)),
                          [Tensor("points", (-1, *found.shape[1:]))], lambda batch: {})  # fmt: skip
    lifter = SequenceLifter(Model(card, session))
    assert (lifter.step_s > 0) == (lifter.window > 1)
    assert card.licence.non_commercial
    assert lifter.metres_per_pixel((640, 480)) > 0 or "motionbert" not in name
