# SPDX-License-Identifier: Apache-2.0
"""Tally: what a stream of SkeletonArray was like, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Measurements that percentiles are taken of: the last ten minutes at 30 Hz.
_MEASUREMENTS = 18_000
_IDS_LISTED = 1000
#: A latency beyond this says that the stamps come from another clock.
_SAME_CLOCK_MS = 60_000.0


class _Lately:
    """The last measurements, in memory that does not grow."""

    def __init__(self) -> None:
        self._values, self._count = np.empty(_MEASUREMENTS, np.float32), 0

    def append(self, value: float) -> None:
        self._values[self._count % _MEASUREMENTS] = value
        self._count += 1

    @property
    def values(self) -> np.ndarray:
        """(N,), in no order."""
        return self._values[: self._count]


class Tally:
    """Count arrays, and remember how late and how full they were."""

    def __init__(self) -> None:
        """Start at zero."""
        self.images = self.arrays = self.repeated_stamps = 0
        self._latency_ms, self._subjects = _Lately(), _Lately()
        self._stages_ms: dict[str, _Lately] = {}
        self._ids: set[int] = set()
        self._models: dict[str, str] = {}
        self._first_ns = self._last_ns = 0

    def add(self, msg: Any, now_ns: int) -> None:
        """Add a SkeletonArray that was received at ``now_ns``."""
        stamp = stamp_ns(msg)
        if not self.arrays:
            self._first_ns = stamp
        self.repeated_stamps += self.arrays > 0 and stamp == self._last_ns
        self.arrays, self._last_ns = self.arrays + 1, stamp
        self._models[msg.model] = msg.schema
        self._latency_ms.append((now_ns - stamp) / 1e6)
        self._subjects.append(len(msg.skeletons))
        for name, ms in zip(msg.stage_names, msg.stage_ms, strict=False):
            if name not in self._stages_ms:
                self._stages_ms[name] = _Lately()
            self._stages_ms[name].append(ms)
        if len(self._ids) < _IDS_LISTED:
            self._ids.update(s.track_id for s in msg.skeletons if s.track_id)

    def summary(self) -> dict[str, Any]:
        """Return all of it for JSON; None where a number is not known."""
        seconds = (self._last_ns - self._first_ns) / 1e9
        latency, subjects = _percentiles(self._latency_ms), self._subjects.values
        same_clock = latency is not None and abs(latency["p50"]) < _SAME_CLOCK_MS
        return {
            "images": self.images,
            "arrays": self.arrays,
            # The estimator takes the newest image; what came meanwhile is left out.
            "images_without_skeletons": max(self.images - self.arrays, 0),
            "repeated_stamps": self.repeated_stamps,
            "seconds": round(seconds, 3),
            "rate_hz": round((self.arrays - 1) / seconds, 2) if seconds > 0 else None,
            "latency_ms": latency if same_clock else None,
            "stages_ms": {name: _percentiles(values) for name, values in self._stages_ms.items()},
            "models": self._models,
            "subjects_mean": round(float(subjects.mean(dtype=float)), 3) if len(subjects) else None,
            "subjects_max": int(subjects.max()) if len(subjects) else None,
            "ids": sorted(self._ids),
        }


def stamp_ns(msg: Any) -> int:
    """Return the header's stamp in nanoseconds."""
    return int(msg.header.stamp.sec) * 1_000_000_000 + int(msg.header.stamp.nanosec)


def _percentiles(lately: _Lately) -> dict[str, float] | None:
    if not len(lately.values):
        return None
    return {f"p{p}": round(float(np.percentile(lately.values, p)), 3) for p in (50, 95)}
