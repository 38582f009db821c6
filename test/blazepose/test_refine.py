# SPDX-License-Identifier: Apache-2.0
"""Refinement of landmarks by heat maps."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.decode.refine import refine


def planted(cells: list[tuple[float, float]], size: int = 64) -> np.ndarray:
    """Return logits (1, size, size, K) with a round peak at each x, y."""
    y, x = np.mgrid[:size, :size]
    return np.stack([6 - 3 * ((x - cx) ** 2 + (y - cy) ** 2) for cx, cy in cells], axis=2)[None].astype(np.float32)


def rule(points: np.ndarray, heatmap: np.ndarray, kernel: int, min_confidence: float) -> np.ndarray:
    """Follow MediaPipe's rule, number by number, for one crop."""
    height, width, _ = heatmap.shape
    moved = points.copy()
    for k, (px, py) in enumerate(points):
        column, row = int(px * width), int(py * height)
        if not (0 <= column < width and 0 <= row < height):
            continue
        total = peak = sum_x = sum_y = 0.0
        for r in range(max(0, row - kernel // 2), min(height, row + kernel // 2 + 1)):
            for c in range(max(0, column - kernel // 2), min(width, column + kernel // 2 + 1)):
                confidence = 1 / (1 + np.exp(-heatmap[r, c, k]))
                total, peak = total + confidence, max(peak, confidence)
                sum_x, sum_y = sum_x + c * confidence, sum_y + r * confidence
        if peak >= min_confidence and total > 0:
            moved[k] = sum_x / total / width, sum_y / total / height
    return moved


def test_moves_a_point_to_the_peak():
    found = refine(np.array([[[30 / 64, 20 / 64]]]), planted([(31.4, 18.8)]), 9, 0.5)
    np.testing.assert_allclose(found * 64, [[[31.4, 18.8]]], atol=0.1)


def test_a_flat_heatmap_moves_nothing():
    points = np.array([[[0.3, 0.4]]])
    np.testing.assert_allclose(refine(points, np.full((1, 64, 64, 1), -1.0), 9, 0.5), points, rtol=1e-6)
    assert (refine(points, np.full((1, 64, 64, 1), 1.0), 9, 0.5) != points).any()


@pytest.mark.parametrize("kernel", [7, 9])
def test_equals_the_rule_on_random_heatmaps(rng, kernel):
    """Inside, on every border, outside, and where a negative number is cut to cell 0."""
    points = np.concatenate([rng.uniform(-0.2, 1.2, (500, 2)), rng.uniform(-0.02, 0.02, (50, 2))])
    heatmap = rng.normal(-4, 3, (16, 16, len(points)))
    expected = rule(points, heatmap, kernel, 0.5)
    assert 0.3 < (expected != points).any(axis=1).mean() < 0.95
    np.testing.assert_allclose(refine(points[None], heatmap[None], kernel, 0.5)[0], expected, atol=1e-6)


def test_each_subject_reads_its_own_heatmap():
    points = np.full((2, 1, 2), 30 / 64)
    heatmaps = np.concatenate([planted([(29, 30)]), planted([(32, 31)])])
    found = refine(points, heatmaps, 9, 0.5)
    np.testing.assert_allclose(found[:, 0] * 64, [[29, 30], [32, 31]], atol=0.05)


def test_more_channels_than_points_and_points_that_are_missing():
    found = refine(np.array([[[np.nan, 0.5]]]), planted([(30, 30), (1, 1)]), 9, 0.5)
    assert np.isnan(found[0, 0, 0])
    assert refine(np.empty((0, 3, 2)), np.empty((0, 64, 64, 5)), 9, 0.5).shape == (0, 3, 2)
