# SPDX-License-Identifier: Apache-2.0
"""People: where cameras stand, from nothing but people who move before them.

Joints that two cameras see at the same moments are as good as the corners of a board, but for two things: nobody says
who is who, and nobody says how large they are. Who is who is what the epipolar geometry of most joints agrees with; the
scale comes from the height of the people, or from a distance that was measured.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from pose_ros.core.camera import Camera
from pose_ros.core.skeleton import Skeleton
from pose_ros.errors import ConfigError, ShapeError
from pose_ros.multiview.bundle import Adjusted, Sightings, adjust, meet, misfit
from pose_ros.multiview.offsets import compare, resampled, speeds
from pose_ros.multiview.pairing import AGREE, COMMON, NEAR, Pairs
from pose_ros.multiview.subjects import Jointed

_SIDES, _JOINTS = ("left", "right"), ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
#: A joint's namesake on the other side; how often swapped sides are looked for, one camera of each moment at a time;
#: how much less badly rays have to meet then.
_OTHER_SIDE = np.arange(2 * len(_JOINTS)) ^ 1
_UNSWAPS, _CLEARLY = 4, 0.7
#: Joints that networks find well from all sides.
JOINTS = tuple(f"{side}_{joint}" for joint in _JOINTS for side in _SIDES)
#: Limb -> length as a share of the body's height (Drillis and Contini, 1966; Winter, Biomechanics, 2009, fig. 4.1).
_SHARES = {("shoulder", "elbow"): 0.186, ("elbow", "wrist"): 0.146, ("hip", "knee"): 0.245, ("knee", "ankle"): 0.246}
#: Shares of the height that an ankle stands above the floor, from the same place.
ANKLE = 0.039
_MEASURED = [(JOINTS.index(f"{side}_{a}"), JOINTS.index(f"{side}_{b}")) for a, b in _SHARES for side in _SIDES]
_SHARE = np.repeat(list(_SHARES.values()), 2)
#: Limbs that keep their lengths: those, and the widths of shoulders and hips.
LIMBS = np.array([*_MEASURED, *((JOINTS.index(f"left_{j}"), JOINTS.index(f"right_{j}")) for j in ("shoulder", "hip"))])
#: Keypoints below this are not used.
_LEAST_SCORE = 0.5
#: More moments only take longer.
_MOST_MOMENTS = 300
#: Clocks are compared so often, until they agree to so many seconds; closer than that, or than so many standard
#: deviations, they are the same, and also where keypoints are not nearer then than this share of how near they were.
_COMPARED, _AGREE_S, _SURE, _BETTER = 4, 0.001, 3.0, 0.97
#: Rays that meet would not if clocks were off by so much, seconds.
_FAR_S = 0.1
#: Arms and legs of people disagree by so much about how tall they are.
_LIKE_MOST = 0.05
#: How much a limb's length seems to change from moment to moment, metres.
_PLAY = 0.015


@dataclass(frozen=True, eq=False)
class PeopleRig:
    """Where cameras stand, and who was seen."""

    #: Scene: one moment for each person and moment.
    adjusted: Adjusted
    #: (V, P, T, J, 2) pixels of the joints that were used; NaN elsewhere.
    seen: np.ndarray
    #: (P, T, J, 3) metres.
    points: np.ndarray
    #: (P, L) metres, of LIMBS.
    lengths: np.ndarray
    #: How much the scales disagree that arms and legs give, relative standard deviation.
    scale_spread: float
    #: (V,) seconds to add to each camera's stamps to get those of the first one, and their standard deviations; both
    #: are 0 where clocks agree as far as can be told, or were not compared.
    offsets_s: np.ndarray
    offset_deviations_s: np.ndarray


def find_rig(
    cameras: Mapping[str, Camera], tracks: Sequence[np.ndarray], skeleton: Skeleton, height: float,
    stamps: Sequence[np.ndarray] | None = None, most_offset_s: float = 0.0,
) -> PeopleRig:
    """Find where cameras stand that saw people at the same time; the world is the first camera's optical frame.

    Args:
        cameras: V cameras by name.
        tracks: For each camera (N, T, K, 3): x, y in pixels and score of N people whom it followed over T moments, NaN
            where it did not see them. Nobody needs the same number in two cameras.
        skeleton: Of the keypoints.
        height: Of the people on average, metres.
        stamps: For each camera (T,) when its moments were, seconds; left out: all cameras have the same ones.
        most_offset_s: By how much clocks, or beginnings of recordings, may differ, seconds; 0: not at all.

    Raises:
        ShapeError: The arrays do not fit together.
        ConfigError: The cameras cannot be joined; names them.
    """
    if len(tracks) != len(cameras) or any(t.ndim != 4 or t.shape[2:] != (len(skeleton), 3) for t in tracks):
        raise ShapeError("tracks", f"{len(cameras)} x (N, T, {len(skeleton)}, 3)", [t.shape for t in tracks])
    used, offsets = [_joints(track, skeleton) for track in tracks], np.zeros(len(cameras))
    if stamps is None:
        if len({t.shape[1] for t in tracks}) != 1:
            raise ShapeError("tracks", "the same moments in all cameras", [t.shape[1] for t in tracks])
        return _find(cameras, used, height, None, offsets)
    if [len(s) for s in stamps] != [t.shape[1] for t in tracks]:
        raise ShapeError("stamps", f"lengths {[t.shape[1] for t in tracks]}", [len(s) for s in stamps])

    def found(offsets: np.ndarray, compared: bool = False) -> PeopleRig:
        moved = [resampled(s + o, track, stamps[0]) for s, o, track in zip(stamps, offsets, used, strict=True)]
        return _find(cameras, moved, height, stamps[0] if compared else None, offsets)

    if most_offset_s <= 0:
        return found(offsets)
    offsets = compare(cameras, stamps, used, most_offset_s)
    for _ in range(_COMPARED):
        rig, before = found(offsets, compared=True), offsets
        offsets, deviations = rig.offsets_s, rig.offset_deviations_s
        if np.abs(offsets - before).max() < _AGREE_S:
            break
    # What cannot be told from nothing is nothing.
    told = np.abs(offsets) >= np.minimum(np.maximum(_AGREE_S, _SURE * deviations), _FAR_S)
    try:
        plain = found(np.zeros(len(cameras)))
    except ConfigError:
        pass  # as stamps are, nobody meets
    else:
        # Networks err alike for many moments, which looks like being late, but does not fit better.
        if not told.any() or _misses(rig) > _BETTER * _misses(plain):
            return plain
    if told[1:].all():
        return rig
    return dataclasses.replace(found(np.where(told, offsets, 0.0)), offset_deviations_s=np.where(told, deviations, 0.0))


def _lasting(adjusted: Adjusted, fast: np.ndarray) -> np.ndarray:
    """Return by how much mistakes that a network makes all the time may shift each camera's clock, (V,) seconds.

    That is how far joints are off on average over time, by how fast they usually move.
    """
    known = np.isfinite(adjusted.residuals[..., :1])
    trust = adjusted.trust[..., None]
    off = (trust * np.nan_to_num(adjusted.residuals)).sum(axis=1) / np.maximum(trust.sum(axis=1), 1.0)  # (V, K, 2)
    # The median: sides that are mixed up jump.
    moved = np.nanmedian(np.where(known, np.linalg.norm(fast, axis=-1, keepdims=True), np.nan), axis=(1, 2, 3))
    shifts: np.ndarray = np.sqrt((off**2).sum(axis=-1).mean(axis=-1)) / np.maximum(moved, 1e-6)
    shifts[0] = 0.0
    return shifts


def _misses(rig: PeopleRig) -> float:
    """Return how far keypoints are off, median, pixels."""
    return float(np.nanmedian(np.linalg.norm(rig.adjusted.residuals, axis=-1)))


def _find(
    cameras: Mapping[str, Camera], used: Sequence[np.ndarray], height: float, times: np.ndarray | None,
    offsets_s: np.ndarray,
) -> PeopleRig:
    """Find where cameras stand of joints (N, T, J, 2) at the same moments; at times (T,) where clocks are compared."""
    names, lenses = list(cameras), list(cameras.values())
    pairs = Pairs(names, lenses, used)
    seen = pairs.people()  # (V, P, T, J, 2)
    some = np.isfinite(seen[..., 0]).any(axis=3).sum(axis=0) > 1  # two cameras at least
    person, moment = np.nonzero(some)
    if len(person) > _MOST_MOMENTS:
        chosen = np.linspace(0, len(person) - 1, _MOST_MOMENTS).astype(int)
        person, moment = person[chosen], moment[chosen]
    sightings = Sightings.of(lenses, seen[:, person, moment])
    if times is not None:
        sightings = dataclasses.replace(sightings, speeds=speeds(seen, times)[:, person, moment])
    sightings = dataclasses.replace(
        sightings, weights=np.where((sightings.weights > 0).sum(axis=0) > 1, sightings.weights, 0.0)
    )
    rotations, translations = _grow(names, lenses, sightings, pairs.best)
    places = _filled(meet(rotations, translations, sightings), person)
    factor, _ = _scale(_lengths(places, person), height)
    lengths = _lengths(places * factor, person)
    scene = Jointed(places * factor, LIMBS, lengths, person, _PLAY, float(lengths.mean()))
    adjusted = adjust(sightings, rotations, translations * factor, scene)
    for _ in range(_UNSWAPS):
        sightings, wrong = _unswapped(sightings, adjusted)
        if not wrong:
            break
        places = meet(adjusted.rotations, adjusted.translations, sightings)
        assert isinstance(adjusted.scene, Jointed)
        places = np.where(np.isfinite(places), places, adjusted.scene.places)
        scene = dataclasses.replace(adjusted.scene, places=places)
        adjusted = adjust(sightings, adjusted.rotations, adjusted.translations, scene)
    assert isinstance(adjusted.scene, Jointed)
    factor, spread = _scale(adjusted.scene.lengths, height)
    if sightings.speeds is not None:
        adjusted = dataclasses.replace(adjusted, offset_deviations_s=np.hypot(adjusted.offset_deviations_s,
                                                                              _lasting(adjusted, sightings.speeds)))
    return _scaled(adjusted, seen, lenses, factor, spread, offsets_s)


def rescaled(found: PeopleRig, factor: float) -> PeopleRig:
    """Return the same as large as a distance that was measured says: all lengths times ``factor``."""
    adjusted = found.adjusted
    assert isinstance(adjusted.scene, Jointed)
    scene = dataclasses.replace(adjusted.scene, places=adjusted.scene.places * factor,
                                lengths=adjusted.scene.lengths * factor, scale=adjusted.scene.scale * factor)
    longer = np.repeat([1.0, factor], 3)
    adjusted = dataclasses.replace(
        adjusted, scene=scene, translations=adjusted.translations * factor,
        covariances=adjusted.covariances * longer * longer[:, None],
    )
    return dataclasses.replace(found, adjusted=adjusted, points=found.points * factor, lengths=scene.lengths)


def doubts(found: PeopleRig) -> list[str]:
    """Return what speaks against the scale, one sentence each."""
    if found.scale_spread < _LIKE_MOST:
        return []
    return [f"arms and legs disagree about the scale by {found.scale_spread:.0%}: bodies differ from the average, and "
            "networks place joints differently; give a --distance between two cameras that was measured"]


def _joints(track: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Return (N, T, J, 2) of JOINTS; NaN for those that are not sure or not of this skeleton."""
    known = {joint: i for i, joint in enumerate(skeleton.joints)}
    if sum(joint in known for joint in JOINTS) < 8:
        raise ConfigError("skeleton", f"expected the joints {', '.join(JOINTS)}; '{skeleton.name}' has "
                                      f"{', '.join(j for j in JOINTS if j in known) or 'none of them'}")
    track = np.asarray(track, np.float64)
    out = np.full((*track.shape[:2], len(JOINTS), 2), np.nan)
    for i, joint in enumerate(JOINTS):
        if joint in known:
            one = track[:, :, known[joint]]
            out[:, :, i] = np.where(one[..., 2:] >= _LEAST_SCORE, one[..., :2], np.nan)
    return out


def _grow(
    names: Sequence[str], cameras: Sequence[Camera], sightings: Sightings,
    best: tuple[int, int, np.ndarray, np.ndarray] | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return rotations and translations in the first camera's frame: of one pair, then of one camera at a time."""
    assert best is not None
    a, b, turn, shift = best
    rotations, translations = np.tile(np.eye(3), (len(names), 1, 1)), np.zeros((len(names), 3))
    rotations[b], translations[b] = turn, shift
    done = [a, b]
    while True:
        at = np.array(done)
        part = Sightings(sightings.rays[at], sightings.pixels[at], sightings.weights[at])
        points = meet(rotations[at], translations[at], part)
        if len(done) == len(names):
            return _first(rotations, translations)
        known = np.isfinite(points[..., 0]) & (sightings.weights > 0)
        counts = known.sum(axis=(1, 2))
        counts[at] = -1
        v = int(counts.argmax())
        solved = counts[v] >= 5 * COMMON
        if solved:
            near = NEAR * float(np.hypot(*cameras[v].size_wh)) / float(cameras[v].K[0, 0])
            solved, vector, shift, inliers = cv2.solvePnPRansac(
                points[known[v]], sightings.rays[v][known[v]], np.eye(3), None, reprojectionError=2 * near,
                iterationsCount=300, flags=cv2.SOLVEPNP_SQPNP,
            )
            solved = solved and inliers is not None and len(inliers) >= counts[v] * AGREE / 2
        if not solved:
            rest = ", ".join(name for i, name in enumerate(names) if i not in done)
            raise ConfigError("cameras", f"{rest}: expected people whom {', '.join(names[i] for i in done)} see at the "
                                         f"same moments, found {max(int(counts[v]), 0)} joints that they share; let "
                                         "people walk where more cameras see them")
        rotations[v], translations[v] = cv2.Rodrigues(vector)[0], shift.ravel()
        done.append(v)


def _first(rotations: np.ndarray, translations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Make the first camera's frame the world."""
    turn, shift = rotations[0], translations[0]
    rotations = rotations @ turn.T
    return rotations, translations - rotations @ shift


def _unswapped(sightings: Sightings, adjusted: Adjusted) -> tuple[Sightings, int]:
    """Take left for right in the camera whose rays then meet the others', where a network has mixed them up.

    Returns:
        The sightings, of which points that one camera sees alone do not count, and how often that was.
    """
    pose = adjusted.rotations, adjusted.translations
    near = float(np.nanmedian(np.linalg.norm(adjusted.residuals, axis=-1)))
    before = misfit(sightings, *pose, near)
    columns = [sightings.rays, sightings.pixels, sightings.weights]
    columns += [] if sightings.speeds is None else [sightings.speeds]
    others = [column[:, :, _OTHER_SIDE] for column in columns]
    after = []
    for view in range(len(columns[2])):
        tried = [column.copy() for column in columns]
        for column, other in zip(tried, others, strict=True):
            column[view] = other[view]
        after.append(misfit(Sightings(*tried), *pose, near))
    view, moment = np.argmin(after, axis=0), np.arange(len(before))
    moment = moment[np.min(after, axis=0) < _CLEARLY * before]
    view = view[moment]
    changed = [column.copy() for column in columns]
    for column, other in zip(changed, others, strict=True):
        column[view, moment] = other[view, moment]
    changed[2] = np.where((changed[2] > 0).sum(axis=0) > 1, changed[2], 0.0)
    return Sightings(*changed), len(moment)


def _filled(places: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Put joints that nobody sees into the middle of their body: they count for nothing but must be somewhere."""
    with np.errstate(invalid="ignore"):
        known = np.isfinite(places[..., 0])
        middle = np.where(known[..., None], places, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)[:, None]
    return np.where(known[..., None], places, middle[:, None])


def _lengths(places: np.ndarray, person: np.ndarray) -> np.ndarray:
    """Return the lengths (P, L) of everybody's limbs."""
    long = np.linalg.norm(places[:, LIMBS[:, 0]] - places[:, LIMBS[:, 1]], axis=-1)
    return np.stack([np.median(long[person == p], axis=0) for p in range(person.max() + 1)])


def _scale(lengths: np.ndarray, height: float) -> tuple[float, float]:
    """Return by what lengths have to be multiplied for people of a height, and how much arms and legs disagree.

    Networks place elbows and knees too high or too low; over a whole arm or leg that cancels out.
    """
    whole = lengths[:, : len(_SHARE)].mean(axis=0).reshape(2, 2, 2).sum(axis=1)  # (arm or leg, side)
    expected = height * _SHARE.reshape(2, 2, 2).sum(axis=1)
    factor = float(expected.sum() / whole.sum())
    return factor, float(np.std(expected / whole) / factor)


def _scaled(
    adjusted: Adjusted, seen: np.ndarray, cameras: Sequence[Camera], factor: float, spread: float, offsets_s: np.ndarray
) -> PeopleRig:
    """Return the result in metres, with the points of all moments."""
    assert isinstance(adjusted.scene, Jointed)
    views, persons, moments, joints = seen.shape[:4]
    all_ = Sightings.of(cameras, seen.reshape(views, persons * moments, joints, 2))
    points = meet(adjusted.rotations, adjusted.translations, all_).reshape(persons, moments, joints, 3)
    offsets_s, deviations = offsets_s + adjusted.offsets_s, adjusted.offset_deviations_s
    return rescaled(PeopleRig(adjusted, seen, points, adjusted.scene.lengths, spread, offsets_s, deviations), factor)
