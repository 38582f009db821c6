# SPDX-License-Identifier: Apache-2.0
"""Depth parts: how thick, how large and how far from the trunk what lies around each keypoint of a skeleton is."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from pose_ros.anatomy.limbs import limbs
from pose_ros.core.skeleton import Skeleton

#: OKS sigma of a hip, whose patch is the largest.
_HIP_SIGMA = 0.107
#: Part of a hip's patch for skeletons without sigmas: hands and faces, anything else.
_SMALL, _MIDDLE = 0.25, 0.7
#: Distance from skin to joint, metres: half the thickness of an adult's limb in round figures. Other points, such as
#: eyes, are on the skin.
OFFSETS = {"hip": 0.09, "shoulder": 0.05, "elbow": 0.04, "wrist": 0.025, "knee": 0.055, "ankle": 0.035, "neck": 0.06,
           "root": 0.09, "mid_hip": 0.09}  # fmt: skip
_FINGER_OFFSET = 0.008
#: Flesh around a limb, its clothes and what its joints are off by: so many times the offset, plus so many metres. Heads
#: are as thick as the last.
_TIMES, _MORE, _HEAD = 1.5, 0.05, 0.1
#: How far in depth from the middle of a trunk its own keypoints are, those in the middle of a limb, and all others,
#: metres.
_TRUNK_REACH, _MIDDLE_REACH, _REACH = 0.15, 0.35, 0.6
_REACHES = dict.fromkeys(("hip", "shoulder", "neck", "root", "mid_hip"), _TRUNK_REACH) | dict.fromkeys(
    ("elbow", "knee"), _MIDDLE_REACH
)


@lru_cache(maxsize=64)
def sizes(skeleton: Skeleton) -> np.ndarray:
    """Return (K,), radius of each keypoint's patch as a part of a hip's."""
    if skeleton.sigmas:
        return np.clip(np.array(skeleton.sigmas) / _HIP_SIGMA, 0.15, 1)
    small = ["face/" in joint or "hand/" in joint for joint in skeleton.joints]
    return np.where(small, _SMALL, _MIDDLE)


@lru_cache(maxsize=64)
def trunk(skeleton: Skeleton) -> np.ndarray:
    """Return (K,) bool: whether a keypoint belongs to neither a hand nor a face; all of what is only that."""
    inner = np.array(["face/" not in joint and "hand/" not in joint for joint in skeleton.joints])
    return inner if inner.any() else ~inner


@lru_cache(maxsize=64)
def offsets(skeleton: Skeleton) -> np.ndarray:
    """Return (K,) metres from the skin to the joint."""
    return np.array([
        OFFSETS.get(_part(joint), _FINGER_OFFSET if "hand/" in joint else 0.0) for joint in skeleton.joints
    ])  # fmt: skip


@lru_cache(maxsize=64)
def reaches(skeleton: Skeleton) -> np.ndarray:
    """Return (K,) metres that a keypoint is before or behind its trunk."""
    return np.array([_REACHES.get(_part(joint), _REACH) for joint in skeleton.joints])


@lru_cache(maxsize=64)
def holding(skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pairs (P, 2) that hold a subject together, their longest lengths (P,), and which limbs the first ones are.

    What is drawn in a face is left out: each of its points is tied to the nose.
    """
    every = limbs(skeleton)
    face = np.array(["face/" in joint for joint in skeleton.joints])[every.pairs].all(axis=1)
    face[len(every.mirror) :] = False
    return every.pairs[~face], every.longest[~face], np.flatnonzero(~face[: len(every.mirror)])


@lru_cache(maxsize=64)
def flesh(skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the limbs that hide something: their ends (L, 2), metres from their axes to the clothes, longest lengths.

    Fingers, and what is drawn in faces, are left out where there is a body.
    """
    all_limbs = limbs(skeleton)
    own = trunk(skeleton)[all_limbs.ends].all(axis=1)
    ends, longest = all_limbs.ends[own], all_limbs.longest[: len(own)][own]
    thick = offsets(skeleton)[ends].max(axis=1, initial=0)
    return ends, np.where(thick > 0, _TIMES * thick + _MORE, _HEAD), longest


def _part(joint: str) -> str:
    return joint.removeprefix("left_").removeprefix("right_")
