# SPDX-License-Identifier: Apache-2.0
"""Recognisers: what do subjects do, by their skeletons over the last seconds.

Both kinds have one verb and keep nothing between calls: a rule (:class:`Rule`) needs no network, a recogniser
(:class:`Recogniser`) has learnt. The caller keeps the past of each subject and hands over a :class:`Clip`; out of what
is seen again and again it makes one action that begins, goes on and ends, and it counts what is over when it is seen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pose_ros.core.skeleton import Skeleton
from pose_ros.plugin import Model, NetworkPlugin, Plugin
from pose_ros.skeletons import catalogue


@dataclass(frozen=True, eq=False)
class Clip:
    """The last seconds of N subjects at T even steps of time, oldest first; the last one is the newest image.

    What was not seen is NaN with score 0. Between two sights that are near enough in time values are interpolated;
    before the first one and after the last one nothing is made up.
    """

    skeleton: Skeleton
    #: (N,) who; 0: has no id, and no past.
    ids: np.ndarray
    #: (T,) int64 nanoseconds.
    stamps_ns: np.ndarray
    #: (N, T, V, 2) pixels; all NaN where subjects come from several cameras.
    keypoints: np.ndarray
    #: (N, T, V)
    scores: np.ndarray
    #: (N, T, V, 3) metres in the frame of the newest image; NaN where unknown.
    points: np.ndarray
    #: (N, T, V, 3) metres, origin at the root, axes of that frame; NaN where unknown. Some networks know a body's shape
    #: and not its place.
    local_points: np.ndarray
    #: (N, T, M) what ``skeleton.measures`` names; NaN where unknown.
    measures: np.ndarray
    #: (N,) LEFT, RIGHT or 0: of hands.
    sides: np.ndarray
    #: (N,) bodies that hands and faces belong to; 0: none.
    parents: np.ndarray
    #: Of the images, pixels; (0, 0) where there is none.
    size_wh: tuple[int, int]
    #: (3,) unit vector away from the ground in the frame of ``points``.
    up: np.ndarray = field(default_factory=lambda: np.array([0.0, -1.0, 0.0]))
    #: Whether ``up`` is known; else the camera is taken to be level.
    up_known: bool = False

    def __len__(self) -> int:
        """Return the number of subjects."""
        return len(self.ids)

    @cached_property
    def times(self) -> np.ndarray:
        """(T,) seconds before the newest image: 0 is the last, the others are negative."""
        return np.asarray((self.stamps_ns - self.stamps_ns[-1]) * 1e-9)

    @cached_property
    def shapes(self) -> np.ndarray:
        """(N, T, V, 3) metres, for what no place matters to: ``points``; where a subject has none, the local ones."""
        placed = np.isfinite(self.points).any(axis=(1, 2, 3), keepdims=True)
        return np.where(placed, self.points, self.local_points)

    @cached_property
    def heights(self) -> np.ndarray:
        """(N, T, V) metres of ``points`` along ``up``, from the origin of their frame."""
        return np.asarray(self.points @ self.up)


@dataclass(frozen=True)
class Seen:
    """One thing that a recogniser sees at the end of a clip."""

    #: Row of the subject in the clip.
    row: int
    #: What the subject does: lower case, words joined by ``_``.
    name: str
    #: [0, 1]; the caller decides from which on it counts.
    score: float
    #: LEFT, RIGHT or 0.
    side: int = 0
    #: When it began, by ``Clip.stamps_ns`` and not before the first of them; None: with the newest image.
    onset_ns: int | None = None
    #: When it was over; None: it is going on. What is over is an event, counted once however often it is seen again.
    end_ns: int | None = None
    #: Numbers that belong to it; their units are in ``units`` of the recogniser.
    values: Mapping[str, float] = field(default_factory=dict)
    #: (6,) where a direction that is shown starts, metres, and its unit vector, in the frame of the points.
    ray: np.ndarray | None = None


class _Sees(ABC):
    """What rules and recognisers have in common."""

    #: Skeleton of the clips that it takes; the caller converts to it.
    takes: Skeleton
    #: Whose skeletons: ``body``, ``hand`` or ``face``.
    subject: str = "body"
    #: Length of the clips, seconds, and time between two steps.
    window_s: float
    step_s: float
    #: How often it looks at most, Hz; its caller may be content with less.
    max_rate: float = np.inf
    #: All names that it may say.
    actions: tuple[str, ...]
    #: Those of which a subject does one at a time: the surest one goes on, and ends when another one begins.
    exclusive: tuple[str, ...] = ()
    #: Names of all values that it may say -> their units ("" where they have none).
    units: Mapping[str, str] = {}

    @property
    def steps(self) -> int:
        """How many moments a clip has, T."""
        return round(self.window_s / self.step_s) + 1 if self.step_s else 1

    @abstractmethod
    def see(self, clip: Clip) -> Sequence[Seen]:
        """Return what all subjects do, by one batched computation.

        Args:
            clip: Of ``takes``, with ``steps`` moments.

        Returns:
            For each subject any number of things, those with low scores too; nothing of subjects of which too little is
            known.
        """


class Rule(_Sees, Plugin):
    """A recogniser whose knowledge is written down."""


class Recogniser(_Sees, NetworkPlugin):
    """A recogniser that has learnt: the card's ``skeleton`` is what it takes, the card's ``classes`` what it says."""

    def __init__(self, model: Model, options: object | None = None) -> None:
        """Keep the network, the options, the card's skeleton and its classes."""
        super().__init__(model, options)
        self.takes = catalogue.get(model.card.skeleton)
        self.actions = model.card.classes
