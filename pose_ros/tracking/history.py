# SPDX-License-Identifier: Apache-2.0
"""History: where the keypoints of each subject were, at even steps of time. Time comes from stamps."""

from __future__ import annotations

import numpy as np

#: Images that are kept at most, whatever the rate at which they come.
_MOST = 1024


class History:
    """The keypoints of subjects that come and go, over the last seconds.

    All rows are of the same images and share their stamps: one array (images, rows, K, 3), filled from the front. When
    it is full, what is within the window moves to the front of one of twice that length.
    """

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
        self._stamps = np.empty(0, np.int64)
        self._data = np.empty((0, 0, 0, 3), np.float32)
        self._ids = np.empty(0, np.int64)
        self._count = 0

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
        if self._count and (stamp_ns < self._stamps[self._count - 1] or self._data.shape[2] != keypoints.shape[1]):
            self.reset()
        known = np.asarray(ids) > 0
        rows = self._put(np.asarray(ids)[known], values[known], stamp_ns, values.shape[1])
        past = np.full((self._count, *values.shape), np.nan, np.float32)
        past[:, known] = self._data[: self._count, rows]
        past[-1] = values
        found = self._resample(past)
        return found[..., :2], np.nan_to_num(found[..., 2])

    def _put(self, ids: np.ndarray, values: np.ndarray, stamp_ns: int, k: int) -> np.ndarray:
        """Keep an image; returns the row of each subject."""
        again = self._count > 0 and self._stamps[self._count - 1] == stamp_ns
        if not again and self._count == len(self._stamps):
            self._slide(stamp_ns, k)
        if (new := np.setdiff1d(ids, self._ids)).size:
            shape = (len(self._stamps), len(new), k, 3)
            self._data = np.concatenate([self._data, np.full(shape, np.nan, np.float32)], axis=1)
            self._ids = np.concatenate([self._ids, new])
        place = self._count - again
        self._count = place + 1
        order = np.argsort(self._ids)
        rows = order[np.searchsorted(self._ids, ids, sorter=order)]
        self._stamps[place], self._data[place] = stamp_ns, np.nan
        self._data[place, rows] = values
        return np.asarray(rows)

    def _slide(self, stamp_ns: int, k: int) -> None:
        """Make room: leave out images before the window, and subjects that are not in the rest."""
        oldest = stamp_ns - (self.window - 1) * self.step_ns - self.max_gap_ns
        first = max(int(np.searchsorted(self._stamps[: self._count], oldest)), self._count - _MOST)
        kept = self._data[first : self._count].reshape(self._count - first, len(self._ids), k, 3)
        seen = np.isfinite(kept[..., 0]).any(axis=(0, 2))
        size = max(2 * len(kept), 64)
        data = np.full((size, int(seen.sum()), k, 3), np.nan, np.float32)
        data[: len(kept)] = kept[:, seen]
        stamps = np.zeros(size, np.int64)
        stamps[: len(kept)] = self._stamps[first : self._count]
        self._stamps, self._data, self._ids, self._count = stamps, data, self._ids[seen], len(kept)

    def _resample(self, past: np.ndarray) -> np.ndarray:
        """Return (N, T, K, 3) of (images, N, K, 3) at even steps."""
        stamps = self._stamps[: self._count]
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
