# SPDX-License-Identifier: Apache-2.0
"""Past: what was seen of each subject in the images of the last seconds. Time comes from stamps."""

from __future__ import annotations

import numpy as np

#: Images that are kept at most, whatever the rate at which they come.
_MOST = 1024


class Past:
    """Numbers of subjects that come and go.

    All rows are of the same images and share their stamps: one array (images, rows, ...), filled from the front. When
    it is full, what is new enough moves to the front of one of twice that length.
    """

    def __init__(self, shape: tuple[int, ...], keep_ns: int) -> None:
        """Start with nobody.

        Args:
            shape: Of the numbers of one subject in one image.
            keep_ns: How long they are kept, nanoseconds; some longer.
        """
        self.shape, self._keep_ns = shape, keep_ns
        self.reset()

    def reset(self) -> None:
        """Forget everybody."""
        self._stamps = np.empty(0, np.int64)
        self._data = np.empty((0, 0, *self.shape), np.float32)
        self._ids = np.empty(0, np.int64)
        self._count = 0

    def __len__(self) -> int:
        """Return the number of images."""
        return self._count

    @property
    def stamps_ns(self) -> np.ndarray:
        """(images,) int64, nanoseconds, oldest first."""
        return self._stamps[: self._count]

    def put(self, ids: np.ndarray, values: np.ndarray, stamp_ns: int) -> None:
        """Keep an image.

        Args:
            ids: (N,) which subject each row is, positive and none twice.
            values: (N, ...); NaN where missing.
            stamp_ns: When. Earlier than the last image: everything before is forgotten; the same: it is replaced.
        """
        if self._count and stamp_ns < self._stamps[self._count - 1]:
            self.reset()
        again = self._count > 0 and self._stamps[self._count - 1] == stamp_ns
        if not again and self._count == len(self._stamps):
            self._slide(stamp_ns)
        if (new := np.setdiff1d(ids, self._ids)).size:
            nothing = np.full((len(self._stamps), len(new), *self.shape), np.nan, np.float32)
            self._data = np.concatenate([self._data, nothing], axis=1)
            self._ids = np.concatenate([self._ids, new])
        place = self._count - again
        self._count = place + 1
        self._stamps[place], self._data[place] = stamp_ns, np.nan
        self._data[place, self._rows(ids)] = values

    def of(self, ids: np.ndarray, since_ns: int = -(2**63)) -> tuple[np.ndarray, np.ndarray]:
        """Return what was seen of subjects of the last image.

        Args:
            ids: (N,) of those.
            since_ns: Images before that are left out.

        Returns:
            (images,) stamps, and (images, N, ...) float32, NaN where they were not seen.
        """
        stamps = self.stamps_ns
        first = int(np.searchsorted(stamps, since_ns))
        return stamps[first:], np.asarray(self._data[first : self._count, self._rows(ids)])

    def forget(self, ids: np.ndarray) -> None:
        """Forget subjects that have ended."""
        kept = ~np.isin(self._ids, ids)
        if not kept.all():
            self._ids, self._data = self._ids[kept], self._data[:, kept]

    def _rows(self, ids: np.ndarray) -> np.ndarray:
        order = np.argsort(self._ids)
        return np.asarray(order[np.searchsorted(self._ids, ids, sorter=order)])

    def _slide(self, stamp_ns: int) -> None:
        """Make room: leave out images that are too old, and subjects that are not in the rest."""
        first = max(int(np.searchsorted(self.stamps_ns, stamp_ns - self._keep_ns)), self._count - _MOST)
        kept = self._data[first : self._count]
        seen = np.isfinite(kept).any(axis=(0, *range(2, kept.ndim)))
        size = max(2 * len(kept), 64)
        data = np.full((size, int(seen.sum()), *self.shape), np.nan, np.float32)
        data[: len(kept)] = kept[:, seen]
        stamps = np.zeros(size, np.int64)
        stamps[: len(kept)] = self._stamps[first : self._count]
        self._stamps, self._data, self._ids, self._count = stamps, data, self._ids[seen], len(kept)
