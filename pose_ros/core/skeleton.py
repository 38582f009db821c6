# SPDX-License-Identifier: Apache-2.0
"""Skeleton: the names behind the columns of every result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from pose_ros.errors import ConfigError


@dataclass(frozen=True)
class Skeleton:
    """Names, edges and symmetry of one kind of subject.

    Raises:
        ConfigError: When the parts contradict one another.
    """

    #: Such as ``coco17``; what messages call the schema.
    name: str
    #: K keypoint names, all different.
    keypoints: tuple[str, ...]
    #: Pairs of keypoint indices to draw.
    edges: tuple[tuple[int, int], ...] = ()
    #: K indices: the keypoint that a mirror image shows in this place.
    flip: tuple[int, ...] = ()
    #: K OKS sigmas, or empty where the field defines none.
    sigmas: tuple[float, ...] = ()
    #: Keypoint nearest to the origin of root-relative points.
    root: int = 0
    #: Where the definition comes from.
    source: str = field(default="", compare=False)
    #: K names of what the keypoints are, all different: two keypoints that name the same joint are the same.
    #: Joints of a person stand alone, others after what they belong to: ``face/jaw_0``. Left out: the keypoints' names.
    joints: tuple[str, ...] = field(default=(), compare=False)
    #: Joint -> ways to make it of others where a source lacks it: the mean of all joints of the first way that it has.
    made: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict, compare=False)
    #: K colours (red, green, blue; 0 .. 255) to draw keypoints with, or empty: by the side that the name says.
    colors: tuple[tuple[int, int, int], ...] = field(default=(), compare=False)
    #: Names of the numbers that say more of a subject than its keypoints, such as ``mouth_opening`` of a face.
    measures: tuple[str, ...] = ()
    #: Measure -> its unit, such as ``rad``; ratios have none, and are not listed.
    units: Mapping[str, str] = field(default_factory=dict, compare=False)
    #: Names of the coordinate frames that move with a subject, such as ``gaze`` of a face.
    frames: tuple[str, ...] = ()
    #: ``left_hand``, ``right_hand``, ``face``: the skeleton of that part, and for each of its keypoints the index here.
    blocks: Mapping[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict, compare=False)
    #: Groups of keypoints that rules read by name, such as ``left_eye_upper_lid``.
    roles: Mapping[str, tuple[int, ...]] = field(default_factory=dict, compare=False)
    #: Where keypoints that do not move against one another lie in the subject's first frame, metres.
    rigid: Mapping[int, tuple[float, float, float]] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Check that all parts agree."""
        k = len(self.keypoints)
        if k == 0 or len(set(self.keypoints)) != k:
            raise ConfigError(self.name, f"expected at least one keypoint and no name twice, got {self.keypoints}")
        if not self.flip:
            object.__setattr__(self, "flip", tuple(range(k)))
        if sorted(self.flip) != list(range(k)) or any(self.flip[self.flip[i]] != i for i in range(k)):
            raise ConfigError(f"{self.name}.flip", f"expected {k} indices that mirror one another, got {self.flip}")
        if any(not 0 <= i < k for edge in self.edges for i in edge):
            raise ConfigError(f"{self.name}.edges", f"expected indices 0 .. {k - 1}, got {self.edges}")
        if self.sigmas and (len(self.sigmas) != k or min(self.sigmas) <= 0):
            raise ConfigError(f"{self.name}.sigmas", f"expected {k} positive numbers or none, got {self.sigmas}")
        if not 0 <= self.root < k:
            raise ConfigError(f"{self.name}.root", f"expected an index 0 .. {k - 1}, got {self.root}")
        if not self.joints:
            object.__setattr__(self, "joints", self.keypoints)
        if len(self.joints) != k or len(set(self.joints)) != k:
            raise ConfigError(f"{self.name}.joints", f"expected {k} names and none twice, got {self.joints}")
        if self.colors and len(self.colors) != k:
            raise ConfigError(f"{self.name}.colors", f"expected {k} colours or none, got {len(self.colors)}")

    def __hash__(self) -> int:
        """Return a number that costs less than hashing every part; skeletons are keys of caches."""
        return hash((self.name, len(self.keypoints)))

    def __len__(self) -> int:
        """Return K, the number of keypoints."""
        return len(self.keypoints)

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Index of each keypoint by name."""
        return {name: i for i, name in enumerate(self.keypoints)}

    @property
    def subject(self) -> str:
        """Whose the joints are, such as ``person``, ``hand`` or ``quadruped``; hands of a person are the person's."""
        return self.joints[0].rpartition("/")[0] or "person"

    @cached_property
    def flip_index(self) -> np.ndarray:
        """``flip`` as an index array, shape (K,), int64."""
        return np.array(self.flip, dtype=np.int64)
