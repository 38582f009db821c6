# SPDX-License-Identifier: Apache-2.0
"""Who stays who: CLEAR MOT, identity and HOTA scores of tracks, on any similarity of results and labels.

CLEAR MOT: Bernardin and Stiefelhagen, EURASIP 2008. IDF1: Ristani et al., ECCV workshops 2016. HOTA: Luiten et al.,
IJCV 2021. Counts and rules are those of TrackEval. Scores of several sequences add up with ``+`` and are then those of
all together, not their mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from pose_ros.core.assign import assign
from pose_ros.errors import ConfigError, ShapeError

#: Similarities at which HOTA looks.
ALPHAS = np.arange(0.05, 0.99, 0.05)
_EPS = np.finfo(float).eps
S = TypeVar("S", bound="_Sums")


@dataclass(frozen=True, eq=False)
class Tracks:
    """One sequence of F frames.

    Raises:
        ShapeError: The columns of a frame do not agree.
        ConfigError: An id stands twice in a frame.
    """

    #: F times (n,): ids of the labelled subjects.
    truth: Sequence[np.ndarray]
    #: F times (m,): ids of the results.
    found: Sequence[np.ndarray]
    #: F times (n, m), in [0, 1]: OKS, IoU or :func:`from_distance`.
    similarity: Sequence[np.ndarray]

    def __post_init__(self) -> None:
        """Check the frames."""
        if not len(self.truth) == len(self.found) == len(self.similarity):
            raise ShapeError("similarity", f"{len(self.truth)} frames as of the labels",
                             f"{len(self.similarity)}, and {len(self.found)} of results")  # fmt: skip
        for i, (truth, found, alike) in enumerate(zip(self.truth, self.found, self.similarity, strict=True)):
            if np.shape(alike) != (len(truth), len(found)):
                raise ShapeError(f"similarity[{i}]", f"({len(truth)}, {len(found)})", np.shape(alike))
            if len(set(np.asarray(truth).tolist())) != len(truth) or len(set(np.asarray(found).tolist())) != len(found):
                raise ConfigError(f"frame {i}", "expected every id once, got one twice")
        object.__setattr__(self, "_truth", _numbered(self.truth))
        object.__setattr__(self, "_found", _numbered(self.found))

    @property
    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """In how many frames each labelled subject is, and each track of the results."""
        return tuple(np.bincount(np.concatenate([*ids, np.empty(0, np.int64)]))
                     for ids in (self._truth, self._found))  # type: ignore[attr-defined, return-value]

    def frames(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield labelled subjects (n,) and tracks (m,), counted from 0, and their similarity (n, m)."""
        yield from zip(self._truth, self._found, self.similarity, strict=True)  # type: ignore[attr-defined]


class _Sums:
    """Counts that add up."""

    def __add__(self: S, other: S) -> S:
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))  # type: ignore[arg-type]


@dataclass(frozen=True, eq=False)
class Clear(_Sums):
    """CLEAR MOT."""

    true_positives: int = 0
    false_negatives: int = 0
    false_positives: int = 0
    #: A subject goes on under another id than it had last, however long ago.
    switches: int = 0
    #: A subject that was followed is found again after having been lost.
    fragments: int = 0
    #: Subjects that are followed for more than 80 % of their time, 20 % .. 80 %, and less.
    mostly_tracked: int = 0
    partly_tracked: int = 0
    mostly_lost: int = 0
    #: Sum of the similarities of true positives.
    closeness: float = 0.0

    @property
    def mota(self) -> float:
        """1 - (misses + false positives + switches) / labels."""
        wrong = self.false_positives + self.switches
        return _share(self.true_positives - wrong, self.true_positives + self.false_negatives)

    @property
    def motp(self) -> float:
        """Mean similarity of true positives."""
        return _share(self.closeness, self.true_positives)


@dataclass(frozen=True, eq=False)
class Identity(_Sums):
    """Identity scores: with each subject paired with one track for the whole sequence."""

    true_positives: int = 0
    false_negatives: int = 0
    false_positives: int = 0

    @property
    def idf1(self) -> float:
        """Harmonic mean of ``precision`` and ``recall``."""
        return _share(self.true_positives, self.true_positives + (self.false_negatives + self.false_positives) / 2)

    @property
    def precision(self) -> float:
        """IDP."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """IDR."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)


@dataclass(frozen=True, eq=False)
class Hota(_Sums):
    """Higher order tracking accuracy; (19,) arrays over :data:`ALPHAS`."""

    true_positives: np.ndarray
    false_negatives: np.ndarray
    false_positives: np.ndarray
    #: Sums over true positives of how well their tracks agree.
    association: np.ndarray
    closeness: np.ndarray

    @property
    def det_a(self) -> np.ndarray:
        """Accuracy of detection, (19,)."""
        total = self.true_positives + self.false_negatives + self.false_positives
        return self.true_positives / np.maximum(1, total)

    @property
    def ass_a(self) -> np.ndarray:
        """Accuracy of association, (19,)."""
        return self.association / np.maximum(1, self.true_positives)

    @property
    def loc_a(self) -> np.ndarray:
        """Mean similarity of true positives, (19,); 1 where there is none, as in TrackEval."""
        return np.maximum(1e-10, self.closeness) / np.maximum(1e-10, self.true_positives)

    @property
    def curve(self) -> np.ndarray:
        """HOTA at each similarity, (19,)."""
        return np.sqrt(self.det_a * self.ass_a)

    @property
    def hota(self) -> float:
        """The mean over all similarities, which is what is meant by HOTA."""
        return float(self.curve.mean())


def clear(tracks: Tracks, threshold: float = 0.5) -> Clear:
    """Count as CLEAR MOT does; pairs need a similarity of ``threshold``, and those of the last frame are kept."""
    subjects, _ = tracks.lengths
    last, previous = np.full(len(subjects), -1), np.full(len(subjects), -1)
    followed, begun = np.zeros(len(subjects), np.int64), np.zeros(len(subjects), np.int64)
    matched = misses = extra = switches = 0
    total = 0.0
    for truth, found, alike in tracks.frames():
        if not len(truth) or not len(found):
            misses, extra = misses + len(truth), extra + len(found)
            continue
        gain = np.where(alike >= threshold - _EPS, alike + 1000.0 * (previous[truth][:, None] == found), 0.0)
        rows, columns = assign(gain).T
        who, track = truth[rows], found[columns]
        switches += int(((last[who] >= 0) & (last[who] != track)).sum())
        last[who] = track
        followed[who] += 1
        begun[who] += previous[who] < 0
        previous[:] = -1
        previous[who] = track
        matched, misses, extra = matched + len(who), misses + len(truth) - len(who), extra + len(found) - len(who)
        total += float(alike[rows, columns].sum())
    share = followed / np.maximum(subjects, 1)
    mostly, some = int((share > 0.8).sum()), int((share >= 0.2).sum())
    fragments = int(np.maximum(begun - 1, 0).sum())
    return Clear(matched, misses, extra, switches, fragments, mostly, some - mostly, len(subjects) - some, total)


def identity(tracks: Tracks, threshold: float = 0.5) -> Identity:
    """Pair subjects with tracks so that as many frames as possible agree by ``threshold``."""
    subjects, others = tracks.lengths
    together = np.zeros((len(subjects), len(others)))
    for truth, found, alike in tracks.frames():
        rows, columns = np.nonzero(np.asarray(alike) >= threshold)
        together[truth[rows], found[columns]] += 1
    right = int(together[tuple(assign(together).T)].sum())
    return Identity(right, int(subjects.sum()) - right, int(others.sum()) - right)


def hota(tracks: Tracks) -> Hota:
    """Match at all similarities with an eye on which tracks agree over the whole sequence, and count."""
    subjects, others = tracks.lengths
    agreement = np.zeros((len(subjects), len(others)))
    for truth, found, alike in tracks.frames():
        union = alike.sum(axis=0) + alike.sum(axis=1)[:, None] - alike
        agreement[truth[:, None], found] += np.divide(alike, union, out=np.zeros(alike.shape), where=union > _EPS)
    total = subjects[:, None] + others
    agreement /= np.maximum(total - agreement, _EPS)
    pairs, likenesses = [np.empty(0, np.int64)], [np.empty(0)]
    for truth, found, alike in tracks.frames():
        rows, columns = assign(agreement[truth[:, None], found] * alike).T
        pairs.append(truth[rows] * len(others) + found[columns])
        likenesses.append(alike[rows, columns])
    pair, likeness = np.concatenate(pairs), np.concatenate(likenesses)
    enough = likeness >= ALPHAS[:, None] - _EPS
    right = enough.sum(axis=1)
    kinds, kind = np.unique(pair, return_inverse=True)
    frames = np.stack([np.bincount(kind[row], minlength=len(kinds)) for row in enough])
    agreed = frames * (frames / np.maximum(1, total.reshape(-1)[kinds] - frames))
    return Hota(right, subjects.sum() - right, others.sum() - right, agreed.sum(axis=1), enough @ likeness)


def from_distance(distance: np.ndarray, nothing: float) -> np.ndarray:
    """Return similarities of distances: 1 at 0, falling to 0 at ``nothing``, in the unit of the distances.

    As TrackEval does for tracks in space, with 2 m as the distance at which nothing is alike.
    """
    return np.maximum(0.0, 1 - np.asarray(distance, np.float64) / nothing)


def _numbered(frames: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return ids counted from 0."""
    ids = [np.asarray(frame, np.int64) for frame in frames]
    if not ids:
        return []
    _, number = np.unique(np.concatenate(ids), return_inverse=True)
    return np.split(number.astype(np.int64), np.cumsum([len(frame) for frame in ids])[:-1])


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else float("nan")
