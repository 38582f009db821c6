# SPDX-License-Identifier: Apache-2.0
"""History: where the keypoints of each subject were, at even steps of time. Time comes from stamps."""

from __future__ import annotations

import numpy as np

from pose_ros.tracking.past import Past


class History:
    """The keypoints of subjects that come and go, over the last seconds."""

    def __init__(self, window: int, step_s: float, max_gap_s: float = 0.5) -> None:
        """Start with nobody.

        Args:
            window: Moments that are asked for, T.
            step_s: Time between two of them, seconds; 0 where T is 1.
            max_gap_s: A subject that was away for longer starts anew; a keypoint that was not seen for longer is
                unknown.
        """
        self.window, self.step_ns, self.max_gap_ns = window, round(step_s * 1e9), round(max_gap_s * 1e9)
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._past: Past | None = None

    def __call__(
        self, ids: np.ndarray, keypoints: np.ndarray, scores: np.ndarray, stamp_ns: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Add an image, and return the past of its subjects.

        Args:
            ids: (N,) which subject each row is, none twice; 0: not known, such a one has no past.
            keypoints: (N, K, 2) pixels; NaN where missing.
            scores: (N, K).
            stamp_ns: When. Earlier than the last image: everything before is forgotten; the same: it is replaced.

        Returns:
            Keypoints (N, T, K, 2) and scores (N, T, K) float32 at steps that end with ``stamp_ns``. Between two images
            both are interpolated, before the first sight of a keypoint and after its last one they stay as they were
            there; a keypoint that was not seen within the gap is NaN with score 0 at all times.
        """
        values = np.concatenate([keypoints, np.asarray(scores)[..., None]], axis=2).astype(np.float32)
        values[~np.isfinite(values[..., :2]).all(axis=2)] = np.nan
        known = np.asarray(ids) > 0
        if self._past is None or self._past.shape != values.shape[1:]:
            self._past = Past(values.shape[1:], (self.window - 1) * self.step_ns + self.max_gap_ns)
        self._past.put(np.asarray(ids)[known], values[known], stamp_ns)
        stamps, seen = self._past.of(np.asarray(ids)[known])
        past = np.full((len(stamps), *values.shape), np.nan, np.float32)
        past[:, known], past[-1] = seen, values
        found = self._resample(stamps, past)
        return found[..., :2], np.nan_to_num(found[..., 2])

    def _resample(self, stamps: np.ndarray, past: np.ndarray) -> np.ndarray:
        """Return (N, T, K, 3) of (images, N, K, 3) at even steps."""
        images = np.arange(len(stamps))
        # A subject's past begins after the last time that it was away for too long.
        here = np.isfinite(past[..., 0]).any(axis=2)
        before = np.maximum.accumulate(np.where(here, images[:, None], -1), axis=0)
        away = np.vstack([before[:1] * 0 - 1, before[:-1]])
        returned = here & (away >= 0) & (stamps[:, None] - stamps[away] > self.max_gap_ns)
        start = np.where(returned, images[:, None], 0).max(axis=0)
        seen = np.isfinite(past[..., 0]) & (images[:, None, None] >= start[:, None])
        # The image at or before which, and at or after which, each keypoint was seen; beyond the ends the nearest one.
        last = np.maximum.accumulate(np.where(seen, images[:, None, None], -1), axis=0)
        later = np.where(seen, images[:, None, None], len(stamps))
        following = np.minimum.accumulate(later[::-1], axis=0)[::-1]
        times = stamps[-1] - self.step_ns * np.arange(self.window)[::-1]
        index = np.searchsorted(stamps, times, side="right") - 1
        left = last[np.maximum(index, 0)]
        left[index < 0] = -1
        exact = (stamps[np.maximum(index, 0)] == times) & (index >= 0)
        right = following[np.minimum(np.where(exact, index, index + 1), len(stamps) - 1)]
        left, right = np.where(left < 0, right, left), np.where(right == len(stamps), left, right)
        known = (last[-1] >= 0) & (stamps[-1] - stamps[last[-1]] <= self.max_gap_ns)
        left, right = (np.where(known, side, 0) for side in (left, right))
        n, k = np.ogrid[: past.shape[1], : past.shape[2]]
        span = stamps[right] - stamps[left]
        part = np.clip((times[:, None, None] - stamps[left]) / np.maximum(span, 1), 0, 1)[..., None]
        found = past[left, n, k] * (1 - part) + past[right, n, k] * part
        found[:, ~known] = np.nan
        return np.asarray(found.swapaxes(0, 1), np.float32)
