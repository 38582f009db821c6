# SPDX-License-Identifier: Apache-2.0
"""BVH: a skeleton of fixed limbs and how its joints turn, for animation; y up, centimetres, degrees.

A joint's rotation is the one that best takes the limbs that begin at it from how they lie in the rest pose to how they
lie now (Kabsch, 1976); around a single limb it turns as little as it can, because points do not tell how a limb is
twisted. Limbs have their median length, so what a program shows differs from the points by how much those change.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError
from pose_ros.exports.take import TO_Y_UP, Subject, Take, held
from pose_ros.skeletons import catalogue

#: People are written as this skeleton, whose joints are a tree from the pelvis.
_PERSON = "h36m17"
_CM = 100.0


def write_bvh(take: Take, path: Path) -> list[Path]:
    """Write a file for each subject of a take with z up; returns the files.

    Raises:
        ConfigError: The take has no metres, or the root of a subject is never seen.
    """
    even = take.metric().even(gap_s=1.0).turned(TO_Y_UP)
    paths = []
    for subject in even.subjects:
        file = path if len(even.subjects) == 1 else path.with_stem(f"{path.stem}_{subject.name}")
        file.write_text(_bvh(even, subject), encoding="utf-8")
        paths.append(file)
    return paths


@dataclasses.dataclass(frozen=True)
class Tree:
    """Joints from the root outwards."""

    #: (J,) index of each keypoint, parents before children.
    keypoints: tuple[int, ...]
    #: (J,) index into ``keypoints``; -1 for the root.
    parents: tuple[int, ...]

    def children(self, joint: int) -> list[int]:
        """Return the joints that follow one."""
        return [i for i, parent in enumerate(self.parents) if parent == joint]


def tree(skeleton: Skeleton, known: np.ndarray) -> Tree:
    """Return the joints that edges lead to from the root, the nearest first; only those that are ``known``, (K,)."""
    found, parents = [skeleton.root], [-1]
    for at in found:  # grows while it is read
        for edge in skeleton.edges:
            if at in edge and known[other := edge[edge[0] == at]] and other not in found:
                found.append(other)
                parents.append(found.index(at))
    return Tree(tuple(found), tuple(parents))


def fit(joints: Tree, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit fixed limbs to points.

    Args:
        joints: J joints.
        points: (T, K, 3), finite.

    Returns:
        Offsets (J, 3) of each joint from its parent in the rest pose, rotations (T, J, 3, 3) relative to the parent,
        and where the root is, (T, 3).
    """
    here = points[:, joints.keypoints]
    parents = np.array(joints.parents)
    limbs = here - here[:, np.maximum(parents, 0)]
    lengths = np.median(np.linalg.norm(limbs, axis=2), axis=0)
    offsets = _rest(limbs, lengths)
    world = np.tile(np.eye(3), (len(points), len(parents), 1, 1))
    local = world.copy()
    for joint in range(len(parents)):
        above = world[:, parents[joint]] if joint else np.tile(np.eye(3), (len(points), 1, 1))
        ends = joints.children(joint)
        if ends:
            seen = np.einsum("tji,tcj->tci", above, limbs[:, ends])
            local[:, joint] = _turns(offsets[ends], seen)
        world[:, joint] = above @ local[:, joint]
    return offsets, local, here[:, 0]


def _rest(limbs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the limbs (J, 3) as they lie on average in the frame of the first moment, with their median lengths."""
    directions = limbs[0] / np.maximum(np.linalg.norm(limbs[0], axis=1, keepdims=True), 1e-9)
    return directions * lengths[:, None]


def _turns(rest: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the rotations (T, 3, 3) that take limbs (C, 3) to where they are seen, (T, C, 3), as well as one can."""
    if len(rest) == 1:
        return _swings(rest[0], seen[:, 0])
    u, _, vt = np.linalg.svd(np.einsum("tci,cj->tij", seen, rest))
    sign = np.linalg.det(u @ vt)
    u[:, :, 2] *= sign[:, None]
    return np.asarray(u @ vt)


def _swings(rest: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the smallest rotations (T, 3, 3) that take one direction to others, (T, 3)."""
    a = rest / max(np.linalg.norm(rest), 1e-9)
    b = seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-9)
    axis, cos = np.cross(a, b), b @ a
    cross = np.zeros((len(b), 3, 3))
    cross[:, [2, 0, 1], [1, 2, 0]] = axis
    cross[:, [1, 2, 0], [2, 0, 1]] = -axis
    # Rodrigues; a limb that points the other way turns around any axis across it.
    turn = np.eye(3) + cross + cross @ cross / np.maximum(1 + cos, 1e-9)[:, None, None]
    across = np.cross(a, np.eye(3)[np.abs(a).argmin()])
    across /= np.linalg.norm(across)
    turn[cos < -1 + 1e-9] = 2 * np.outer(across, across) - np.eye(3)
    return turn


def _bvh(take: Take, subject: Subject) -> str:
    skeleton, points = _treelike(take.skeleton, subject.points)
    known = np.isfinite(points).all(axis=2).any(axis=0)
    if not known[skeleton.root]:
        raise ConfigError("format", f"bvh needs the root of a skeleton, but {skeleton.keypoints[skeleton.root]} of "
                                    f"{subject.name} was never seen; take trc or csv")
    joints = tree(skeleton, known)
    points = held(points)
    offsets, rotations, root = fit(joints, points)
    names = [skeleton.keypoints[i] for i in joints.keypoints]
    lines: list[str] = ["HIERARCHY"]
    order: list[int] = []

    def put(joint: int, depth: int) -> None:
        pad, inner = "\t" * depth, "\t" * (depth + 1)
        offset = " ".join(f"{v:.4f}" for v in _CM * offsets[joint])
        ends = joints.children(joint)
        if not ends:
            lines.extend([f"{pad}End Site", f"{pad}{{", f"{inner}OFFSET {offset}", f"{pad}}}"])
            return
        channels = "CHANNELS 6 Xposition Yposition Zposition" if not depth else "CHANNELS 3"
        lines.extend([f"{pad}{'JOINT' if depth else 'ROOT'} {names[joint]}", f"{pad}{{", f"{inner}OFFSET {offset}",
                      f"{inner}{channels} Zrotation Xrotation Yrotation"])
        order.append(joint)
        for end in ends:
            put(end, depth + 1)
        lines.append(f"{pad}}}")

    put(0, 0)
    angles = np.degrees(_zxy(rotations[:, order]))
    lines += ["MOTION", f"Frames: {len(points)}", f"Frame Time: {1 / take.rate if take.rate else 1:.8f}"]
    rows = np.concatenate([_CM * root, angles.reshape(len(points), -1)], axis=1)
    lines += [" ".join(f"{value:.5f}" for value in row) for row in rows]
    return "\n".join(lines) + "\n"


def _treelike(skeleton: Skeleton, points: np.ndarray) -> tuple[Skeleton, np.ndarray]:
    """Return a skeleton whose edges are limbs, and the points (T, K, 3) of its joints."""
    from pose_ros.core.convert import conversion, converts

    person = catalogue.get(_PERSON)
    if skeleton.subject != "person" or not converts(skeleton, person) or skeleton.frames == ("face", "gaze"):
        return skeleton, points
    return person, conversion(skeleton, person).points(points)


def _zxy(rotations: np.ndarray) -> np.ndarray:
    """Return angles (..., 3) about z, x and y whose product in this order is the rotation (..., 3, 3)."""
    x = np.arcsin(rotations[..., 2, 1].clip(-1, 1))
    z = np.arctan2(-rotations[..., 0, 1], rotations[..., 1, 1])
    y = np.arctan2(-rotations[..., 2, 0], rotations[..., 2, 2])
    return np.stack([z, x, y], axis=-1)
