# SPDX-License-Identifier: Apache-2.0
"""Offsets: by how much the stamps of recordings differ, from people who move before their cameras.

Rays of two cameras to the joints of somebody who moves meet, wherever the cameras stand, only where both are of the
same time. So one recording is laid over the other at all offsets, and that one counts at which they meet best. The
rest, parts of a frame, is for the bundle adjustment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.multiview.pairing import Pairs

#: Nothing is known between two frames that are farther apart than so many usual ones.
_GAP = 2.5
#: More people and more moments only take longer.
_MOST_TRACKS, _MOST_MOMENTS = 3, 50
#: A movement that is so many times that before or after it is a mistake.
_JUMP = 3.0
#: Rounds of RANSAC; most joints agree at the right offset.
_ROUNDS = 100
#: Offsets are tried in such steps, seconds, and then in halves of them so often: rays still meet a little beside.
_STEP_S, _HALVES = 0.1, 3
#: Of two offsets, the larger one counts when rays meet so much better. Whoever walks in a circle looks the same a
#: stride later from elsewhere.
_CLEARLY = 1.05

#: Name, camera, stamps (T,) and tracks (N, T, J, 2).
_View = tuple[str, Camera, np.ndarray, np.ndarray]


def resampled(stamps: np.ndarray, tracks: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return tracks (N, T, ...) of times (T,) at other times (M,) by straight lines, (N, M, ...); NaN where unknown."""
    if len(stamps) < 2:
        return np.full((tracks.shape[0], len(at), *tracks.shape[2:]), np.nan)
    after = np.searchsorted(stamps, at).clip(1, len(stamps) - 1)
    wide = stamps[after] - stamps[after - 1]
    share = (at - stamps[after - 1]) / np.maximum(wide, 1e-9)
    # A time that is a frame's needs no neighbour, whom that camera may not have seen.
    share = np.where(abs(share * wide) < 1e-6, 0.0, np.where(abs((share - 1) * wide) < 1e-6, 1.0, share))
    known = (share >= 0) & (share <= 1) & ((wide <= _GAP * np.median(np.diff(stamps))) | np.isin(share, (0, 1)))
    weight = share.reshape(-1, *(1,) * (tracks.ndim - 2))
    before, behind = tracks[:, after - 1], tracks[:, after]
    out = np.where(weight == 0, before, np.where(weight == 1, behind, (1 - weight) * before + weight * behind))
    return np.where(known.reshape(weight.shape), out, np.nan)


def compare(
    cameras: Mapping[str, Camera], stamps: Sequence[np.ndarray], tracks: Sequence[np.ndarray], most_s: float
) -> np.ndarray:
    """Return what to add to the stamps of each camera to get those of the first one, (V,) seconds, to about a frame.

    Args:
        cameras: V cameras by name.
        stamps: For each camera (T,) seconds.
        tracks: For each camera (N, T, J, 2) pixels of the joints of N people, NaN where they were not seen.
        most_s: By how much stamps may differ, seconds.
    """
    offsets, done = np.zeros(len(tracks)), [0]
    views = [(name, camera, when, _longest(track))
             for (name, camera), when, track in zip(cameras.items(), stamps, tracks, strict=True)]  # fmt: skip
    while len(done) < len(tracks):
        known = [(*views[v][:2], views[v][2] + offsets[v], views[v][3]) for v in done]
        tried = {v: _against(known, views[v], most_s) for v in range(len(tracks)) if v not in done}
        best = max(tried, key=lambda v: tried[v][1])
        offsets[best] = tried[best][0]
        done.append(best)
    return offsets


def speeds(points: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Return how fast points (V, P, T, J, 2) move at times (T,), per second; 0 where that is unknown."""
    steps = np.diff(points, axis=2) / np.diff(times)[:, None, None]
    edge = np.full_like(points[:, :, :1], np.nan)
    both = np.stack([np.concatenate([edge, steps], axis=2), np.concatenate([steps, edge], axis=2)])
    fast = np.linalg.norm(both, axis=-1, keepdims=True)
    # Who seems to jump aside and back did not move.
    known = np.isfinite(both) & ~(fast > _JUMP * fast[::-1])
    mean: np.ndarray = np.where(known, both, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return mean


def _longest(tracks: np.ndarray) -> np.ndarray:
    """Return the people who were seen longest."""
    return tracks[np.argsort(-np.isfinite(tracks[..., 0]).sum(axis=(1, 2)), kind="stable")[:_MOST_TRACKS]]


def _against(known: Sequence[_View], other: _View, most_s: float) -> tuple[float, float]:
    """Return what to add to another camera's stamps, and which share of the joints meets those of known ones then."""
    fits: dict[float, float] = {}
    sights = []
    for name, camera, stamps, track in known:
        at = np.linspace(0, len(stamps) - 1, min(len(stamps), _MOST_MOMENTS)).astype(int)
        sights.append((name, camera, stamps[at], track[:, at]))
    most = sum(np.isfinite(track[..., 0]).sum() for *_, track in sights)

    def tried(offsets: np.ndarray) -> float:
        for offset in set(offsets[np.abs(offsets) <= most_s].round(4).tolist()) - set(fits):
            fit = 0.0
            for name, camera, stamps, track in sights:
                moved = resampled(other[2] + offset, other[3], stamps)
                fit += float(Pairs([name, other[0]], [camera, other[1]], [track, moved], _ROUNDS).fit[0, 1])
            fits[offset] = fit / max(most, 1)
        enough = max(fits.values()) / _CLEARLY
        return min((offset for offset, fit in fits.items() if fit >= enough), key=abs)

    count = int(most_s / _STEP_S)
    best = tried(np.arange(-count, count + 1) * _STEP_S)
    for half in range(_HALVES):
        best = tried(best + np.array([-1, 1]) * _STEP_S / 2 ** (half + 1))
    return best, fits[best]
