# SPDX-License-Identifier: Apache-2.0
"""Regions around the landmarks of a hand, which the next image is searched in."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.decode.rois import enclosing_regions, turned
from pose_ros.models import cards

ROI = cards.get("mediapipe-hand-landmark-lite").params["roi"]


def mediapipe(points: np.ndarray) -> list[float]:
    """Return the region of one hand by the steps of MediaPipe's calculators, one after the other."""
    used = points[ROI["points"]]
    tip = ((points[5] + points[13]) / 2 + points[9]) / 2
    angle = np.pi / 2 - np.arctan2(-(tip[1] - points[0][1]), tip[0] - points[0][0])
    angle -= 2 * np.pi * np.floor((angle + np.pi) / (2 * np.pi))
    middle = (used.max(axis=0) + used.min(axis=0)) / 2
    x, y = (used - middle).T
    back = np.stack([x * np.cos(-angle) - y * np.sin(-angle), x * np.sin(-angle) + y * np.cos(-angle)])
    low, high = back.min(axis=1), back.max(axis=1)
    cx, cy = (low + high) / 2
    width, height = high - low
    x, y = middle[0] + cx * np.cos(angle) - cy * np.sin(angle), middle[1] + cx * np.sin(angle) + cy * np.cos(angle)
    shift = -0.1 * height
    x, y = x - shift * np.sin(angle), y + shift * np.cos(angle)
    side = 2.0 * max(width, height)
    return [x, y, side, side, angle]


def test_agrees_with_mediapipes_steps(rng):
    hands = rng.normal(0, 40, (200, 21, 2)) + rng.uniform(0, 600, (200, 1, 2))
    found = enclosing_regions(hands, **ROI)
    expected = np.array([mediapipe(hand) for hand in hands])
    np.testing.assert_allclose(found[:, :4], expected[:, :4], rtol=1e-4, atol=1e-2)
    np.testing.assert_allclose(np.angle(np.exp(1j * (found[:, 4] - expected[:, 4]))), 0, atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 1.0, 2.5, -2.5])
def test_turns_with_the_hand(rng, angle):
    hand = rng.normal(0, 40, (1, 21, 2))
    (still,), (moved,) = enclosing_regions(hand, **ROI), enclosing_regions(turned(hand, np.array([angle])) + 300, **ROI)
    np.testing.assert_allclose(moved[:2], turned(still[None, None, :2], np.array([angle]))[0, 0] + 300, atol=1e-3)
    np.testing.assert_allclose(moved[2:4], still[2:4], rtol=1e-5)
    assert np.cos(moved[4] - still[4] - angle) == pytest.approx(1, abs=1e-6)


def test_nobody_and_nothing_but_nan():
    assert enclosing_regions(np.empty((0, 21, 2)), **ROI).shape == (0, 5)
    assert np.isnan(enclosing_regions(np.full((2, 21, 2), np.nan), **ROI)).all()
