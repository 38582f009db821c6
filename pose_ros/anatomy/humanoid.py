# SPDX-License-Identifier: Apache-2.0
"""The human of REP-155 as a kinematic tree: its lengths and joint angles out of keypoints, and its URDF.

Names of links and joints, their order, axes and offsets are those of ros4hri's ``human_description``
(``urdf/human-tpl.xacro``), which REP-155 refers to: ``body`` between the hips with x to the front, y to the left, z
up; limbs hang along -z. That trunk only bends forward (``waist``). People also bend aside and turn, so two joints more
stand between waist and torso here; without them hands would be off by as much as shoulders are turned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from pose_ros.anatomy import body_frames
from pose_ros.anatomy.body_frames import cross, dot, unit
from pose_ros.anatomy.limbs import PARTS
from pose_ros.core.skeleton import Skeleton


class Joint(NamedTuple):
    """A joint: links, axis (none where it is fixed), and place in the parent: a direction times a length."""

    child: str
    parent: str
    axis: tuple[int, int, int] | None = None
    length: str = ""
    along: tuple[float, float, float] = (0, 0, 0)


def _limbs(side: str, s: int) -> dict[str, Joint]:
    """Return arm and leg of a side; ``s`` is 1 left and -1 right, as y is."""
    arm = (f"{side}_y_shoulder", f"{side}_p_shoulder", f"{side}_shoulder", f"{side}_elbow", f"{side}_wrist")
    leg = (f"{side}_y_hip", f"{side}_p_hip", f"{side}_hip", f"{side}_knee", f"{side}_ankle")
    return {
        arm[0]: Joint(arm[0], "torso", (0, 0, -s), "shoulder", (0, s, 0)),
        arm[1]: Joint(arm[1], arm[0], (s, 0, 0)),
        f"{side}_r_shoulder": Joint(arm[2], arm[1], (0, 0, s)),
        arm[3]: Joint(arm[3], arm[2], (0, -1, 0), f"{side}_upper_arm", (0, 0, -1)),
        arm[4]: Joint(arm[4], arm[3], None, f"{side}_forearm", (0, 0, -1)),
        leg[0]: Joint(leg[0], "body", (0, 0, -1), "hip", (0, s, 0)),
        leg[1]: Joint(leg[1], leg[0], (s, 0, 0)),
        f"{side}_r_hip": Joint(leg[2], leg[1], (0, -1, 0)),
        leg[3]: Joint(leg[3], leg[2], (0, -1, 0), f"{side}_thigh", (0, 0, -1)),
        leg[4]: Joint(leg[4], leg[3], None, f"{side}_shank", (0, 0, -1)),
    }


#: Name of a joint -> what it is; parents come first.
TREE: Mapping[str, Joint] = {
    "waist": Joint("waist", "body", (0, 1, 0)),
    "waist_bending": Joint("waist_bending", "waist", (1, 0, 0)),
    "waist_rotation": Joint("waist_rotation", "waist_bending", (0, 0, 1)),
    "torso": Joint("torso", "waist_rotation", None, "trunk", (0, 0, 1)),
    "r_head": Joint("r_head", "torso", (1, 0, 0), "neck", (0, 0, 1)),
    "y_head": Joint("y_head", "r_head", (0, 0, 1)),
    "p_head": Joint("p_head", "y_head", (0, -1, 0)),
    "head": Joint("head", "p_head", None, "head", (0.5, 0, 1)),
    **_limbs("l", 1),
    **_limbs("r", -1),
}
#: Joints that move, in the order of :attr:`Humanoids.angles`; the first three are those of the trunk.
MOVING = tuple(name for name, joint in TREE.items() if joint.axis)
#: The joints that REP-155 does not have.
BEYOND_REP = ("waist_bending", "waist_rotation")

_SIDED = {
    "upper_arm": ("shoulder", "elbow"), "forearm": ("elbow", "wrist"), "thigh": ("hip", "knee"),
    "shank": ("knee", "ankle"),
}  # fmt: skip
#: Length -> part of the body's height, for what was not seen: Drillis and Contini (1966), those of neck and head by
#: human_description.
_PARTS = {
    "hip": PARTS["hip", "hip"] / 2, "trunk": PARTS["shoulder", "hip"], "shoulder": PARTS["shoulder", "shoulder"] / 2,
    **{f"{side}_{name}": PARTS[ends] for side in "rl" for name, ends in _SIDED.items()},
    "neck": 0.25 / 7.5, "head": 0.5 / 7.5,
}  # fmt: skip
#: Names of the lengths, in the order of :attr:`Humanoids.lengths`.
LENGTHS = tuple(_PARTS)
_INDEX, _SEGMENT = body_frames.BODY.index, {name: i for i, name in enumerate(body_frames.SEGMENTS)}
_UPPER = np.array([_SEGMENT["upper_arm"], _SEGMENT["thigh"]])
_ENDS = np.array([[_INDEX[f"{side}_{name}"] for name in ends] for side in ("right", "left")
                  for ends in _SIDED.values()])  # fmt: skip
_COLUMN = {name: i for i, name in enumerate(MOVING)}
_ARMS, _LEGS = (
    np.array([[_COLUMN[f"{side}_{name}"] for name in names] for side in "rl"])
    for names in (("y_shoulder", "p_shoulder", "r_shoulder", "elbow"), ("y_hip", "p_hip", "r_hip", "knee"))
)
_HEAD = [_COLUMN[name] for name in ("r_head", "y_head", "p_head")]
#: Sine of the bend of a limb, or of the angle of a hanging arm, below which what it says of a turn is left alone: no
#: point is then off by more than this part of a limb.
_TINY = 0.003


class Humanoids(NamedTuple):
    """N people in the angles of :data:`MOVING`; what cannot be known is NaN."""

    #: (N, 3) metres and (N, 3, 3): the body's frame in that of the points.
    origins: np.ndarray
    rotations: np.ndarray
    #: (N, 22) radians.
    angles: np.ndarray
    #: (N, 13) metres, of :data:`LENGTHS`, as they were at this moment.
    lengths: np.ndarray


def humanoids(points: np.ndarray, skeleton: Skeleton, trunk_turns: bool = True) -> Humanoids:
    """Return what keypoints say of the joints: angles that bring elbows, wrists, knees and ankles to where they are.

    Limbs are solved in closed form, the right ones and, in a mirror, the left ones. An arm hangs where yaw and roll of
    its shoulder are one turn; all of it is then roll. The plane of a limb that is all but straight is the one that
    :mod:`pose_ros.anatomy.body_frames` carries there; it also says on which side of the plane the hinge's axis
    points while the bend is no more than noise, so that knees do not turn round.

    Args:
        points: (N, K, 3) metres; NaN where unknown.
        skeleton: Of the points; some of it has to be in :data:`pose_ros.anatomy.body_frames.BODY`.
        trunk_turns: Whether the trunk bends aside and turns; False leaves that at 0, as REP-155 does, and
            limbs point to where they do from shoulders that are off.
    """
    joints = body_frames.joints(np.asarray(points, np.float64), skeleton)
    segments = body_frames.segments(joints)
    both = body_frames.both_sides(joints)
    at = {name: both[:, :, i] for name, i in _INDEX.items()}
    body = segments.rotations[:, :, _SEGMENT["body"]]
    angles = np.full((len(joints), len(MOVING)), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        up = unit(at["shoulders"] - at["hips"])
        front = unit(cross(at["left_shoulder"] - at["right_shoulder"], up))
        torso = np.stack([front, cross(up, front), up], axis=-1)
        turned = _to(body) @ torso
        pitch = np.arctan2(turned[..., 0, 2], turned[..., 2, 2])
        angles[:, 0] = pitch[0]
        if trunk_turns:
            angles[:, 1] = np.arcsin(np.clip(-turned[0, :, 1, 2], -1, 1))
            angles[:, 2] = np.arctan2(turned[0, :, 1, 0], turned[0, :, 1, 1])
        else:
            torso = body @ _about_y(pitch)
            angles[:, 1:3] = np.where(np.isnan(pitch[0]), np.nan, 0)[:, None]
        angles[:, _HEAD] = _head((_to(torso) @ segments.rotations[:, :, _SEGMENT["head"]])[0])
        limbs = {name: unit(at[f"right_{b}"] - at[f"right_{a}"]) for name, (a, b) in _SIDED.items()}
        upper = segments.rotations[:, :, _UPPER]
        arms = _arms(*(_in(torso, v) for v in (limbs["upper_arm"], limbs["forearm"], upper[:, :, 0, :, 0])))
        legs = _legs(*(_in(body, v) for v in (limbs["thigh"], limbs["shank"], upper[:, :, 1, :, 1])))
        legs[1, :, 0] *= -1  # y_hip is the one joint that has the same axis on both sides
    for side in range(2):
        angles[:, _ARMS[side]], angles[:, _LEGS[side]] = arms[side], legs[side]
    return Humanoids(at["hips"][0], body[0], angles, _lengths(joints))


def _to(rotations: np.ndarray) -> np.ndarray:
    return np.asarray(rotations.swapaxes(-1, -2))


def _in(rotations: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return vectors (..., 3) in the axes of rotations (..., 3, 3)."""
    return np.asarray(np.einsum("...ji,...j->...i", rotations, vectors))


def _about_y(angle: np.ndarray) -> np.ndarray:
    c, s, o, i = np.cos(angle), np.sin(angle), np.zeros_like(angle), np.ones_like(angle)
    return np.stack([np.stack(row, axis=-1) for row in ((c, o, s), (o, i, o), (-s, o, c))], axis=-2)


def _head(turned: np.ndarray) -> np.ndarray:
    """Return r_head, y_head and p_head, (N, 3), of Rx(r) Rz(y) Ry(-p)."""
    return np.stack([
        np.arctan2(turned[:, 2, 1], turned[:, 1, 1]), np.arcsin(np.clip(-turned[:, 0, 1], -1, 1)),
        -np.arctan2(turned[:, 0, 2], turned[:, 0, 0]),
    ], axis=1)  # fmt: skip


def _arms(upper: np.ndarray, fore: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Return yaw, pitch and roll of right shoulders and the bend of elbows, (..., 4), of Rz(y) Rx(-p) Rz(-r) Ry(-e).

    Args:
        upper: (..., 3) direction from shoulder to elbow in the torso's axes.
        fore: The same from elbow to wrist.
        front: Where the elbow bends to, as far as that is known.
    """
    aside = np.hypot(upper[..., 0], upper[..., 1])
    yaw = np.where(aside < _TINY, 0 * aside, np.arctan2(upper[..., 0], -upper[..., 1]))
    pitch = np.arctan2(aside, -upper[..., 2])
    c, s, o = np.cos(yaw), np.sin(yaw), np.zeros_like(yaw)
    x = np.stack([c, s, o], axis=-1)
    # What is across the upper arm, in the axes of its link before it rolls.
    y = np.cos(pitch)[..., None] * np.stack([-s, c, o], axis=-1)
    y[..., 2] = -np.sin(pitch)
    bent, ahead = (np.concatenate([dot(v, x), dot(v, y)], axis=-1) for v in (fore, front))
    way = np.where(np.hypot(*np.moveaxis(bent, -1, 0))[..., None] < _TINY, ahead,
                   np.where(dot(bent, ahead) < 0, -bent, bent))
    roll = np.arctan2(-way[..., 1], way[..., 0])
    elbow = np.arctan2(dot(bent, unit(way))[..., 0], dot(fore, upper)[..., 0])
    return np.stack([yaw, pitch, roll, elbow], axis=-1)


def _legs(thigh: np.ndarray, shank: np.ndarray, hinge: np.ndarray) -> np.ndarray:
    """Return yaw, pitch and roll of right hips and the bend of knees, (..., 4), of Rz(-y) Rx(-p) Ry(-r) Ry(-k).

    Args:
        thigh: (..., 3) direction from hip to knee in the body's axes.
        shank: The same from knee to ankle.
        hinge: Axis of the knee, as far as that is known.
    """
    normal = cross(thigh, shank)
    size = np.sqrt(dot(normal, normal))
    axis = np.where(size < _TINY, hinge, np.where(dot(normal, hinge) < 0, -normal, normal) / size)
    yaw = np.arctan2(axis[..., 0], axis[..., 1])
    pitch = -np.arcsin(np.clip(axis[..., 2], -1, 1))
    x = np.stack([np.cos(yaw), -np.sin(yaw), np.zeros_like(yaw)], axis=-1)
    z = cross(x, axis)
    roll, swing = (np.arctan2(dot(v, x), -dot(v, z))[..., 0] for v in (thigh, shank))
    knee = (swing - roll + np.pi) % (2 * np.pi) - np.pi
    return np.stack([yaw, pitch, roll, knee], axis=-1)


def _lengths(joints: np.ndarray) -> np.ndarray:
    """Return (N, 13) metres; neck and head are never seen."""
    def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(a - b, axis=-1))

    left_hip, right_hip, left, right = (joints[:, _INDEX[name]] for name in (
        "left_hip", "right_hip", "left_shoulder", "right_shoulder"))
    trunk = between(joints[:, _INDEX["hips"]], joints[:, _INDEX["shoulders"]])
    limbs = between(joints[:, _ENDS[:, 0]], joints[:, _ENDS[:, 1]])
    unseen = np.full((len(joints), 2), np.nan)
    return np.column_stack([between(left_hip, right_hip) / 2, trunk, between(left, right) / 2, limbs, unseen])


def completed(lengths: np.ndarray) -> np.ndarray:
    """Return lengths (13,) without NaN: by the other side, then by what the known ones say of the height.

    All are NaN where none is known.
    """
    parts = np.array([_PARTS[name] for name in LENGTHS])
    known = np.isfinite(lengths)
    if not known.any():
        return np.full_like(lengths, np.nan)
    other = [LENGTHS.index({"r": "l", "l": "r"}[name[0]] + name[1:] if name[1] == "_" else name) for name in LENGTHS]
    both = np.where(known, lengths, lengths[other])
    return np.where(np.isfinite(both), both, np.median(lengths[known] / parts[known]) * parts)


def places(lengths: np.ndarray) -> np.ndarray:
    """Return where each joint of :data:`TREE` is in its parent's link, (28, 3) metres."""
    metres = {"": 0.0, **dict(zip(LENGTHS, lengths.tolist(), strict=True))}
    return np.array([np.array(joint.along) * metres[joint.length] for joint in TREE.values()])


def quaternions(angles: np.ndarray) -> np.ndarray:
    """Return how each joint of :data:`TREE` turns its child, (28, 4); identity where it is fixed, NaN where unknown."""
    at = dict(zip(MOVING, angles.tolist(), strict=True))
    half = np.array([at[name] / 2 if joint.axis else 0.0 for name, joint in TREE.items()])
    axes = np.array([joint.axis or (0, 0, 0) for joint in TREE.values()])
    return np.column_stack([axes * np.sin(half)[:, None], np.cos(half)])


#: Limits of joints that are not free, radians: what closed forms can give.
_LIMITS = {"elbow": (-0.4, 3.1416), "knee": (-3.1416, 0.4)}
_RADIUS = 0.03


def urdf(id: str, lengths: np.ndarray) -> str:
    """Return the URDF of a person whose links and joints end in ``_<id>``.

    Args:
        id: Of the body.
        lengths: (13,) metres, all known.
    """
    robot = ElementTree.Element("robot", name=f"human_{id}")
    links = ["body", *(joint.child for joint in TREE.values())]
    metres = dict(zip(LENGTHS, lengths.tolist(), strict=True))
    hangs = {joint.parent: metres[joint.length] for joint in TREE.values() if joint.along == (0, 0, -1)}
    for name in links:
        link = ElementTree.SubElement(robot, "link", name=f"{name}_{id}")
        if name == "head":
            _shape(link, 0.0, "sphere", radius=metres["head"])
        elif name in hangs or name == "torso":
            length = hangs.get(name, metres["trunk"])
            _shape(link, -length / 2, "cylinder", length=length, radius=_RADIUS)
    for (name, joint), place in zip(TREE.items(), places(lengths), strict=True):
        kind = "revolute" if joint.axis else "fixed"
        element = ElementTree.SubElement(robot, "joint", name=f"{name}_{id}", type=kind)
        ElementTree.SubElement(element, "parent", link=f"{joint.parent}_{id}")
        ElementTree.SubElement(element, "child", link=f"{joint.child}_{id}")
        ElementTree.SubElement(element, "origin", xyz=_words(place), rpy="0 0 0")
        if joint.axis:
            low, high = _LIMITS.get(name[2:], (-3.1416, 3.1416))
            ElementTree.SubElement(element, "axis", xyz=_words(joint.axis))
            ElementTree.SubElement(element, "limit", lower=f"{low}", upper=f"{high}", effort="1000", velocity="20")
    return ElementTree.tostring(robot, encoding="unicode")


def _shape(link: ElementTree.Element, z: float, kind: str, **sizes: float) -> None:
    visual = ElementTree.SubElement(link, "visual")
    ElementTree.SubElement(visual, "origin", xyz=_words((0, 0, z)), rpy="0 0 0")
    geometry = ElementTree.SubElement(visual, "geometry")
    ElementTree.SubElement(geometry, kind, {name: f"{size:.4f}" for name, size in sizes.items()})


def _words(numbers: np.ndarray | tuple[float, ...]) -> str:
    return " ".join(f"{number:.6g}" for number in numbers)
