# SPDX-License-Identifier: Apache-2.0
"""What recognisers share that say of a whole clip which of their classes it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pose_ros.core.options import option
from pose_ros.errors import CardError, ShapeError
from pose_ros.plugin import Model
from pose_ros.recognisers.base import Clip, Recogniser, Seen

#: mmaction2's seed, so that the same moments are taken.
_SEED = 255


@dataclass(frozen=True)
class ClassifyingOptions:
    """What they look at, and what they say of it."""

    window: float = option(
        0.0, "Length of the clips; 0: as in the training. Actions are best told apart in clips as long as they are.",
        unit="s", low=0.0, high=30.0,
    )  # fmt: skip
    least: float = option(
        0.5, "Part of the clip in which a subject has to be seen; of others nothing is said.", low=0.0, high=1.0,
        live=True,
    )  # fmt: skip
    clips: int = option(
        1, "How often moments are chosen out of the clip, and results averaged. Published accuracy is with 10, for ten "
        "times the work.", low=1, high=10,
    )  # fmt: skip
    most: int = option(5, "Most classes that are said of a subject, the likeliest ones.", low=1, high=1000, live=True)
    max_rate: float = option(
        0.0, "How often it looks at most; 0: as its card says.", unit="Hz", low=0.0, high=1000.0, live=True,
    )  # fmt: skip
    partner: bool = option(
        False, "Look at each subject together with the nearest other one, for actions of two: hand-shaking, giving."
    )


class Classifying(Recogniser):
    """Classes by one or several networks whose inputs are made of single subjects, or of pairs.

    The card's ``classes`` are those of the networks; what has an empty name was never learnt and is not said. The
    card's ``needs`` are further networks, whose results are averaged with its own.
    """

    Options = ClassifyingOptions
    options: ClassifyingOptions

    def __init__(
        self, model: Model, options: ClassifyingOptions | None, window_s: float, step_s: float, max_rate: float
    ) -> None:
        """Keep the networks.

        Args:
            model: With its card.
            options: See there.
            window_s: Of the training, seconds.
            step_s: Of the training, seconds.
            max_rate: How often to look at most, Hz.

        Raises:
            CardError: A network has another number of classes than the card.
        """
        super().__init__(model, options)
        self.window_s, self.step_s = self.options.window or window_s, step_s
        self._max_rate = max_rate
        self.subject = "hand" if self.takes.subject == "hand" else "body"
        self.actions = tuple(filter(None, self.card.classes))
        self._models = [model, *model.needs.values()]
        for each in self._models:
            shapes = [t.shape[1:] for t in each.session.outputs]
            if shapes != [(len(self.card.classes),)]:
                raise CardError(each.card.name, f"expected one output with a number for each of the "
                                                f"{len(self.card.classes)} classes of '{self.card.name}', got {shapes}")
        self._known = np.array([bool(name) for name in self.card.classes])

    @property
    def max_rate(self) -> float:  # type: ignore[override]
        """How often it looks at most, Hz."""
        return self.options.max_rate or self._max_rate

    def see(self, clip: Clip) -> Sequence[Seen]:
        """See :class:`Recogniser`; the likeliest classes of each subject, the best one first.

        Raises:
            ShapeError: The clip is of other moments or another skeleton.
        """
        where = self._where(clip)
        if where.shape[1:3] != (self.steps, len(self.takes)):
            raise ShapeError("clip", f"(N, {self.steps}, {len(self.takes)}, ...)", where.shape)
        seen = np.isfinite(where[..., 0]).any(axis=2)
        rows, inputs = [], []
        for row in np.flatnonzero(seen.mean(axis=1) >= self.options.least).tolist():
            (moments,) = np.nonzero(seen[row])
            if not len(moments):
                continue
            people = [row, *(_nearest(where, row) if self.options.partner else [])]
            made = self._inputs(clip, people, slice(moments[0], moments[-1] + 1))
            if made is not None:
                rows.append(row)
                inputs.append(made)
        if not rows:
            return []
        found: list[Seen] = []
        for row, chances in zip(rows, self._chances(inputs), strict=True):
            best = np.argsort(-chances, kind="stable")[: self.options.most]
            side = int(clip.sides[row])
            found += [Seen(row, self.card.classes[i], float(chances[i]), side) for i in best if self._known[i]]
        return found

    @abstractmethod
    def _where(self, clip: Clip) -> np.ndarray:
        """Return the places (N, T, V, 2 or 3) that inputs are made of."""

    @abstractmethod
    def _inputs(self, clip: Clip, people: Sequence[int], stretch: slice) -> Sequence[np.ndarray] | None:
        """Return what the networks see of one subject, (R, ...) for each network; None where it cannot be made.

        Args:
            clip: Of all subjects.
            people: Row of the subject, and of the other one.
            stretch: Moments from the first to the last in which the subject was seen.
        """

    @abstractmethod
    def _weight(self, index: int) -> float:
        """Return how much a network counts among all."""

    def _chances(self, inputs: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
        """Return probabilities (N, classes), by one call of each network."""
        weights = np.array([self._weight(i) for i in range(len(self._models))])
        total = np.zeros((len(inputs), len(self._known)))
        for i, model in enumerate(self._models):
            batch = np.concatenate([made[i] for made in inputs]).astype(np.float32)
            (logits,) = model.session.run(np.ascontiguousarray(batch)).values()
            powers = np.exp(logits - logits.max(axis=1, keepdims=True))
            chances = powers / powers.sum(axis=1, keepdims=True)
            total += weights[i] * chances.reshape(len(inputs), -1, chances.shape[1]).mean(axis=1)
        return np.asarray(total / weights.sum())


def _nearest(where: np.ndarray, row: int) -> list[int]:
    """Return the row of the subject that was nearest on the average; none where nobody was seen at the same time."""
    known = np.isfinite(where)
    count = np.maximum(known.sum(axis=2), 1)
    centres = np.where(known, where, 0).sum(axis=2) / count
    both = known.any(axis=(2, 3)) & known[row].any(axis=(1, 2))
    away = np.where(both, np.linalg.norm(centres - centres[row], axis=2), 0).sum(axis=1)
    mean = np.where(both.any(axis=1), away / np.maximum(both.sum(axis=1), 1), np.inf)
    mean[row] = np.inf
    other = int(mean.argmin())
    return [other] if np.isfinite(mean[other]) else []


@lru_cache(maxsize=256)
def uniform(count: int, length: int, clips: int) -> np.ndarray:
    """Return which moments to take: mmaction2's UniformSampleFrames, when it tests.

    One moment out of each of ``length`` equal parts, at random but always the same; fewer are run through again.

    Args:
        count: Moments that there are.
        length: Moments that are wanted.
        clips: How often.

    Returns:
        (clips, length) int64.
    """
    rng = np.random.RandomState(_SEED)  # the numbers that the reference draws
    found = []
    for i in range(clips):
        if count < length:
            start = i if count < clips else i * count // clips
            found.append(np.arange(start, start + length) % count)
        elif count < 2 * length:
            skipped = np.zeros(length + 1, np.int64)
            skipped[rng.choice(length + 1, count - length, replace=False)] = 1
            found.append(np.arange(length) + skipped.cumsum()[:-1])
        else:
            starts = np.arange(length + 1) * count // length
            found.append(starts[:-1] + rng.randint(np.diff(starts)))
    return np.stack(found)
