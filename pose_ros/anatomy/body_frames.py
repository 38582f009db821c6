# SPDX-License-Identifier: Apache-2.0
"""How the segments of a body are turned, from where its joints are.

Each segment has axes that are those of the body when it stands upright with hanging arms and palms to the front (the
anatomical position of the ISB): x to the front, y to the left, z up, which for a limb is along it, from its far end to
the near one. The ISB (Wu et al. 2002 and 2005) writes the same axes X = x, Y = z, Z = -y.

Any set of keypoints is first brought to the joints of :data:`BODY`; what it lacks is NaN. Then the body is taken twice,
as it is and as a mirror sees it, so that the formulas of right limbs serve both sides.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from pose_ros.core.convert import Conversion, conversion, converts
from pose_ros.core.skeleton import Skeleton

#: Joints below this are guesses, such as those of legs under a table.
MIN_SCORE = 0.3
#: An elbow or knee that is less bent than ``STRAIGHT`` says nothing of how its limb is turned about itself; one that is
#: bent more than ``BENT`` says all; radians.
STRAIGHT, BENT = np.deg2rad(10), np.deg2rad(20)
#: Sine of the angle between palm and forearm below which the palm does not say how the forearm is turned ...
_PALM_ACROSS = np.sin(np.deg2rad(10))
#: ... and above which it says all.
_PALM_ALONG = np.sin(np.deg2rad(20))
#: Cosine of the angle by which a wrist is bent beyond which the keypoints of the hand are wrong.
_FOLDED = np.cos(np.deg2rad(120))

_DIRECT = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle", "heel", "small_toe", "big_toe", "ear")
_MADE = {
    "toe": (("{}_big_toe", "{}_small_toe"), ("{}_big_toe",), ("{}_foot_index",)),
    "palm": (("{}_hand/wrist",), ("{}_wrist",)),
    "forefinger": (("{}_hand/forefinger1",), ("{}_index",)),
    "middle_finger": (("{}_hand/middle_finger1",), ("{}_index", "{}_pinky")),
    "little_finger": (("{}_hand/pinky_finger1",), ("{}_pinky",)),
}
_SIDED = (*_DIRECT, *_MADE)
_CENTRAL = {
    "hips": (("left_hip", "right_hip"),),
    "shoulders": (("left_shoulder", "right_shoulder"),),
    "ears": (("left_ear", "right_ear"),),
    # The middle of nose and eyes is about as high as the ears of a head that is held upright.
    "face_front": (("nose", "eyes"),),
    "spine": (("h36m_spine",),),
    "top_of_pelvis": (("spine",), ("shoulders",)),
    "bottom_of_thorax": (("spine",), ("hips",)),
}
#: The joints that are looked at.
BODY = Skeleton(
    "body",
    (*(f"right_{name}" for name in _SIDED), *(f"left_{name}" for name in _SIDED), *_CENTRAL),
    made={
        **{f"{side}_{name}": tuple(tuple(part.format(side) for part in way) for way in ways)
           for side in ("left", "right") for name, ways in _MADE.items()},
        **_CENTRAL,
        "eyes": (("left_eye", "right_eye"),),
    },
)  # fmt: skip
_INDEX = BODY.index
_MIRROR = np.array([
    _INDEX[{"left": "right", "right": "left"}.get(side, side) + bar + name]
    for side, bar, name in (joint.partition("_") for joint in BODY.keypoints)
])

#: Order of the segments in :class:`Segments`.
SEGMENTS = ("body", "head", "foot", "torso", "hand", "thigh", "upper_arm", "shank", "forearm")
AXIAL = ("body", "torso", "head")
#: Joints on which a segment depends, of the side that it is on; those without a side stand for both.
_TRUNK = ("left_hip", "right_hip", "left_shoulder", "right_shoulder")
NEEDS = {
    "body": _TRUNK,
    "torso": _TRUNK,
    "head": ("left_ear", "right_ear", "face_front"),
    "upper_arm": (*_TRUNK, "{}_shoulder", "{}_elbow", "{}_wrist"),
    "forearm": (*_TRUNK, "{}_shoulder", "{}_elbow", "{}_wrist"),
    "hand": ("{}_palm", "{}_forefinger", "{}_little_finger", "{}_middle_finger"),
    "thigh": (*_TRUNK, "{}_hip", "{}_knee", "{}_ankle"),
    "shank": (*_TRUNK, "{}_hip", "{}_knee", "{}_ankle"),
    "foot": ("{}_ankle", "{}_heel", "{}_toe"),
}
_AT = {"head": "ear", "foot": "ankle", "hand": "palm", "thigh": "hip", "upper_arm": "shoulder", "shank": "knee",
       "forearm": "elbow"}  # fmt: skip
_MIDDLES = {"body": "hips", "torso": "shoulders", "head": "ears"}
_ORIGINS = np.array([_INDEX[_MIDDLES.get(name) or f"right_{_AT[name]}"] for name in SEGMENTS])
#: From joint, to joint: what :func:`segments` reads.
_LINES = (
    # y of body, head, torso and hand, x of the foot
    ("right_hip", "left_hip"), ("right_ear", "left_ear"), ("right_heel", "right_toe"),
    ("right_shoulder", "left_shoulder"), ("right_forefinger", "right_little_finger"),
    # z of body, torso and hand; what gives z of the head and y of the foot
    ("hips", "top_of_pelvis"), ("ears", "face_front"), ("right_small_toe", "right_big_toe"),
    ("bottom_of_thorax", "shoulders"), ("right_middle_finger", "right_palm"),
    ("right_heel", "right_ankle"),
    # z of limbs
    ("right_knee", "right_hip"), ("right_elbow", "right_shoulder"),
    ("right_ankle", "right_knee"), ("right_wrist", "right_elbow"),
)  # fmt: skip
_FROM, _TO = np.array([[_INDEX[joint] for joint in line] for line in _LINES]).T
_AWAY = np.array([-1.0, 1, 1])
#: A bent knee sweeps the shank to the back, a bent elbow the forearm to the front.
_HINGES = np.array([[1.0], [-1.0]])


class Segments(NamedTuple):
    """Of N bodies, each as it is and mirrored; limbs are the right ones of both: the first are right, the second left.

    NaN is what cannot be known.
    """

    #: (2, N, S, 3, 3) axes of :data:`SEGMENTS` as columns.
    rotations: np.ndarray
    #: (2, N, S, 3) their origins, metres.
    origins: np.ndarray
    #: (2, N, 2) how far knee and elbow are bent, radians; a knee that bends the wrong way is negative.
    bends: np.ndarray
    #: (2, N) bool: the palm is known, and the hand is not folded back, which no hand is.
    palms: np.ndarray


@lru_cache(maxsize=64)
def knows(skeleton: Skeleton) -> frozenset[str]:
    """Return the joints of :data:`BODY` that a skeleton has or makes."""
    if not converts(skeleton, BODY):
        return frozenset()
    way = _way(skeleton)
    return frozenset(BODY.keypoints[i] for i in [*np.flatnonzero(~way.absent), *way.made])


def joints(points: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return the joints of :data:`BODY`, (N, J, 3), out of the keypoints (N, K, 3) of a skeleton."""
    return _way(skeleton).points(points)


@lru_cache(maxsize=64)
def _way(skeleton: Skeleton) -> Conversion:
    return conversion(skeleton, BODY)


def both_sides(points: np.ndarray) -> np.ndarray:
    """Return bodies (N, J, 3) as they are and as a mirror shows them, (2, N, J, 3): two right sides."""
    return np.stack([points, points[:, _MIRROR] * _AWAY])


def segments(points: np.ndarray) -> Segments:
    """Return how the segments of bodies are turned.

    Pelvis, thorax, head, hands and feet are planes through three points or more. ``body`` is the pelvis: y through both
    hips, and up where the shoulders are, or the spine's own joint where it has one. A limb has its long axis, and y
    along the hinge of its knee or elbow, across the plane of the bent limb. A straight limb has no such plane: between
    20 and 10 degrees the hinge goes over to where the parent's y axis would be carried by the least rotation from a
    limb that is half raised to the front (an arm also aside). Carried from there, the axis is steady wherever a limb
    can point. The forearm takes the palm's word for its rotation where the hand is known.

    Args:
        points: (N, J, 3) of :func:`joints`.
    """
    both = both_sides(points)
    lines = both.take(_TO, axis=2) - both.take(_FROM, axis=2)
    y, z, limbs = lines[:, :, :5], lines[:, :, 5:10], lines[:, :, 11:]
    toes = z[:, :, 2]
    aside = cross(lines[:, :, (6, 10)], lines[:, :, (1, 2)])
    z[:, :, 1], z[:, :, 2] = aside[:, :, 0], np.where(np.isfinite(toes), toes, aside[:, :, 1])
    with np.errstate(invalid="ignore", divide="ignore"):
        planes = _frames(y, z, by_y=3)
        # So far its x, y, z stand as y, z, x.
        planes[:, :, 2] = planes[:, :, 2][..., (1, 2, 0)]
        turned, bends, palms = _limbs(limbs, planes)
    rotations = np.concatenate([planes, turned], axis=2)
    return Segments(rotations, both.take(_ORIGINS, axis=2), bends, palms)


def _limbs(lines: np.ndarray, planes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rotations of thigh, upper arm, shank and forearm, their bends, and where the palm turns the forearm."""
    normal = cross(lines[:, :, :2], lines[:, :, 2:]) * _HINGES
    size = np.sqrt(dot(normal, normal))
    angle = np.arctan2(size, dot(lines[:, :, :2], lines[:, :, 2:]))
    z = unit(lines)
    upper, forearm = z[:, :, :2], z[:, :, 3]
    normal /= np.maximum(size, _TINY)
    parent = planes[:, :, ::3] @ _HALF_RAISED
    at, y = parent[..., 2], parent[..., 1]
    carried = y - (at + upper) * (dot(upper, y) / (1 + dot(at, upper)))
    told = np.minimum(np.maximum((angle - STRAIGHT) / (BENT - STRAIGHT), 0), 1)
    hinge = _blend(normal, carried, told)
    # An almost straight knee bends about where its axis has to be, also the wrong way; what goes aside is noise.
    knee = angle[:, :, :1]
    bent = _blend(np.ones(knee.shape), dot(normal[:, :, :1], carried[:, :, :1]), told[:, :, :1])
    bends = np.concatenate([knee * np.where(np.isnan(bent), 1, bent), angle[:, :, 1:]], axis=2)
    turned = cross(forearm, planes[:, :, 4, :, 0])
    along = np.sqrt(dot(turned, turned))
    told = np.minimum(np.maximum((along - _PALM_ACROSS) / (_PALM_ALONG - _PALM_ACROSS), 0), 1)
    turned = _blend(turned / np.maximum(along, _TINY), planes[:, :, 4, :, 1], told)
    palms = dot(forearm, planes[:, :, 4, :, 2]) > _FOLDED
    y = np.concatenate([hinge, hinge], axis=2)
    y[:, :, 3] = np.where(palms, turned, y[:, :, 3])
    return _frames(y, z, by_y=0), bends[..., 0], palms[..., 0]


def _blend(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return what is between ``a``, which has the share (0 .. 1), and ``b``; what has no share may be NaN."""
    return np.where(share == 1, a, share * a + (1 - share) * b)


def _frames(y: np.ndarray, z: np.ndarray, by_y: int) -> np.ndarray:
    """Return rotations (..., F, 3, 3) out of two axes (..., F, 3): the first ``by_y`` keep y as it is, the others z."""
    axes = np.empty((*y.shape, 3))
    axes[..., 0] = x = unit(cross(y, z))
    kept = unit(np.concatenate([y[..., :by_y, :], z[..., by_y:, :]], axis=-2))
    third = cross(x, kept)
    axes[..., :by_y, :, 1], axes[..., by_y:, :, 2] = kept[..., :by_y, :], kept[..., by_y:, :]
    axes[..., :by_y, :, 2], axes[..., by_y:, :, 1] = third[..., :by_y, :], -third[..., by_y:, :]
    return axes


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the cross product of (..., 3) arrays, a few times as fast as NumPy's for few vectors."""
    turned: np.ndarray = a * b.take(_YZX, axis=-1) - a.take(_YZX, axis=-1) * b
    return turned.take(_YZX, axis=-1)


_YZX = np.array([1, 2, 0])
_TINY = 1e-12


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the dot product of (..., 3) arrays as (..., 1)."""
    return np.asarray(np.einsum("...i,...i->...", a, b)[..., None])


def unit(a: np.ndarray) -> np.ndarray:
    """Return (..., 3) arrays with length 1."""
    return np.asarray(a / np.sqrt(dot(a, a)))


def as_seen(segments: Segments, side: np.ndarray, segment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return origins (N, F, 3) and rotations (N, F, 3, 3) of some segments as they are, out of the mirror.

    Hands have the axes that :mod:`pose_ros.anatomy.hand_frames` describes.

    Args:
        segments: Of N bodies.
        side: (F,) 0 for right limbs and what has no side, 1 for left ones.
        segment: (F,) indices in :data:`SEGMENTS`.
    """
    origins = segments.origins[side, :, segment] * _UNMIRROR[side, None, :, 0]
    rotations = segments.rotations[side, :, segment] * _UNMIRROR[side, None]
    hand = segment == _HAND
    rotations[hand] = -rotations[hand][..., ::-1]
    return origins.swapaxes(0, 1), rotations.swapaxes(0, 1)


_HAND = SEGMENTS.index("hand")
#: Of right limbs nothing; of left ones world and segment both change hands: x of the world, y of the segment.
_UNMIRROR = np.array([np.ones((3, 3)), [[-1, 1, -1], [1, -1, 1], [1, -1, 1]]])


def _raised(direction: tuple[float, float, float]) -> np.ndarray:
    """Return the axes of a limb that was carried from hanging to a direction by the least rotation."""
    z = -np.array(direction) / np.linalg.norm(direction)
    x, y, up = np.eye(3)
    return np.stack([x - (up + z) * z[0] / (1 + z[2]), y - (up + z) * z[1] / (1 + z[2]), z], axis=1)


#: Thigh and upper arm half way between all directions in which they can point.
_HALF_RAISED = np.stack([_raised((1, 0, -1)), _raised((0.5, -0.5, -0.7))])
