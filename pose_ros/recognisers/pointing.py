# SPDX-License-Identifier: Apache-2.0
"""Pointing: who points with a straight arm, and where to.

People point by holding the tip of the forefinger between their eye and what they mean (Herbort and Kunde, "Spatial
(mis-)interpretation of pointing gestures to distal referents", J. Exp. Psychol. Hum. Percept. Perform. 2016), not along
the arm; and the line from head to hand met more targets than that of the forearm (Nickel and Stiefelhagen, Image and
Vision Computing 25, 2007). So the ray starts half way between the eyes and goes through the tip. Where no finger is
known, the tip is where a hand that goes on like the forearm ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from pose_ros.core.options import option
from pose_ros.core.poses import LEFT, RIGHT
from pose_ros.core.skeleton import Skeleton
from pose_ros.recognisers.base import Clip, Rule, Seen
from pose_ros.recognisers.shape import Arms, ramp, since, steady, unit
from pose_ros.skeletons import catalogue

_BODY = catalogue.get("coco17")
_TIPS = ("left_hand/forefinger4", "right_hand/forefinger4")
#: Keypoints between which a ray may start, the best ones first.
_HEAD = (("left_eye", "right_eye"), ("left_ear", "right_ear"), ("nose",))
#: Length of a hand as part of the body's height (Drillis and Contini 1966, as in pose_ros.anatomy.limbs).
_HAND = 0.108
#: Half of the way from nothing to certain around an angle that is half certain, radians, and around a speed as part.
_WIDTH, _SPEED_WIDTH = 0.17, 0.5
#: In the image, least length of an arm that does not point at the camera, in parts of its length: nothing to certain.
_SEEN_LENGTH = (0.5, 0.7)
#: What is seen is a median over this time, and the speed is measured over it; seconds.
_STEADY_S = 0.4


@dataclass(frozen=True)
class PointingOptions:
    """What pointing is."""

    min_score: float = option(0.3, "Keypoints below it are not believed.", low=0.0, high=1.0, live=True)
    start: str = option("eyes", "Where rays start: between the eyes (the ears, the nose where these are not seen), or "
                        "in the shoulder or the elbow of the arm.", choices=("eyes", "shoulder", "elbow"), live=True)
    straight: float = option(2.6, "Angle at the elbow where half is certain; pi is straight.", unit="rad", low=1.5,
                             high=3.1, live=True)
    lift: float = option(0.65, "Angle between the arm and the way down, and between it and the trunk, where half is "
                         "certain.", unit="rad", low=0.2, high=1.5, live=True)
    overhead: float = option(0.5, "Angle between the arm and the way up where half is certain: nobody points at the "
                             "sky.", unit="rad", low=0.0, high=1.5, live=True)
    turning: float = option(0.6, "Speed at which an arm turns where half is certain that it points.", unit="rad/s",
                            low=0.1, high=10.0, live=True)
    both: bool = option(False, "Whether both arms may point at a time; people who balance or show how large something "
                        "is stretch out both.", live=True)
    image_weight: float = option(0.8, "Scores are multiplied by it where only the image is known.", low=0.0, high=1.0,
                                 live=True)


class Pointing(Rule):
    """Tell who points, with a ray where the place is known.

    ``elevation`` is that of the direction above the horizontal, ``azimuth`` how far it is to the left of where the
    chest looks; neither is known in an image. ``finger`` is 1 where the tip of the forefinger is seen, and 0 where it
    is where a straight hand would have it.
    """

    Options: ClassVar[type] = PointingOptions
    takes = Skeleton("coco17+forefingers", (*_BODY.keypoints, *_TIPS), root=_BODY.root,
                     joints=(*_BODY.joints, *_TIPS), made=_BODY.made)
    window_s, step_s = 1.5, 0.1
    actions = ("pointing",)
    units: Mapping[str, str] = {"elevation": "rad", "azimuth": "rad", "finger": ""}

    def see(self, clip: Clip) -> Sequence[Seen]:
        """Return all arms that point."""
        options: PointingOptions = self.options  # type: ignore[assignment]
        arms = Arms(clip, options.min_score)
        last = round(_STEADY_S / self.step_s)
        fits = _fits(arms, options)
        scores = steady(fits, last) * _stills(arms, options, last, self.step_s)
        if not options.both:
            scores = scores * (1 - np.nan_to_num(scores[:, ::-1]))
        scores = scores * np.where(arms.shape.flat, options.image_weight, 1.0)[:, None]
        if not (scores > 0).any():
            return []
        first = since(fits > 0.5)
        tips, seen = _tips(clip, arms)
        starts = {"eyes": _head(clip, arms), "shoulder": arms.shoulders, "elbow": arms.elbows}[options.start]
        way = unit(steady(tips - starts, last))
        chest = _chest(arms)
        # Both are in the frame of the points where these have a place; the trunk and its hand move together.
        start = steady(starts, last)
        placed = np.isfinite(clip.points).any(axis=(1, 2, 3))
        found = []
        for row, arm in np.argwhere(scores > 0).tolist():
            values, ray, direction = {}, None, way[row, arm]
            if not arms.shape.flat[row] and np.isfinite(direction).all():
                up = arms.shape.up[row, 0]
                elevation = np.arcsin(np.clip(direction @ up, -1, 1))
                values = {"elevation": float(elevation), "finger": float(seen[row, arm])}
                if np.isfinite(chest[row]).all():
                    left = direction @ np.cross(up, chest[row])
                    values["azimuth"] = float(np.arctan2(left, direction @ chest[row]))
                if placed[row] and np.isfinite(start[row, arm]).all():
                    ray = np.concatenate([start[row, arm], direction])
            onset = clip.stamps_ns[min(first[row, arm], len(clip.stamps_ns) - 1)]
            found.append(Seen(row, "pointing", float(scores[row, arm]), side=(LEFT, RIGHT)[arm], onset_ns=int(onset),
                              values=values, ray=ray))
        return found


def _fits(arms: Arms, options: PointingOptions) -> np.ndarray:
    """Return how much each arm is like one that points, (N, T, 2) in [0, 1]; NaN where unknown."""
    up = np.broadcast_to(arms.shape.up[:, None], arms.wrists.shape)
    way = unit(arms.wrists - arms.shoulders)
    bend = _angle(arms.shoulders - arms.elbows, arms.wrists - arms.elbows)
    parts = [
        ramp(bend, options.straight - _WIDTH, options.straight + _WIDTH),
        *(ramp(_angle(way, down), options.lift - _WIDTH, options.lift + _WIDTH)
          for down in (-up, arms.hips - arms.shoulders)),
        ramp(_angle(way, up), options.overhead - _WIDTH, options.overhead + _WIDTH),
    ]  # fmt: skip
    # Sitting people may be seen without their hips.
    parts[2] = np.where(np.isnan(parts[2]), parts[1], parts[2])
    long = np.linalg.norm(arms.wrists - arms.shoulders, axis=3) / (arms.upper + arms.fore)
    parts.append(np.where(arms.shape.flat[:, None, None], ramp(long, *_SEEN_LENGTH), 1.0))
    return np.stack(parts).min(axis=0)


def _stills(arms: Arms, options: PointingOptions, steps: int, step_s: float) -> np.ndarray:
    """Return whether each arm is still at last, (N, 2) in [0, 1]; 0 where it was not seen before."""
    way = unit(arms.wrists - arms.shoulders)
    # Medians are calmer than single steps, and their middles lie ``steps`` apart.
    now, before = (steady(way[:, : way.shape[1] - back], steps) for back in (0, steps))
    low, high = (options.turning * part for part in (1 - _SPEED_WIDTH, 1 + _SPEED_WIDTH))
    return np.nan_to_num(1 - ramp(_angle(now, before) / (steps * step_s), low, high))


def _tips(clip: Clip, arms: Arms) -> tuple[np.ndarray, np.ndarray]:
    """Return the tips of the forefingers (N, T, 2, 3), and whether they are seen (N, 2)."""
    tips = arms.shape.points[:, :, [clip.skeleton.index[tip] for tip in _TIPS]]
    straight = arms.wrists + unit(arms.wrists - arms.elbows) * _HAND * arms.size[..., None]
    seen = np.isfinite(tips[:, -1]).all(axis=2)
    return np.where(seen[:, None, :, None], tips, straight), seen


def _head(clip: Clip, arms: Arms) -> np.ndarray:
    """Return where rays start that start in heads, (N, T, 2, 3)."""
    found = np.full_like(arms.wrists[:, :, 0], np.nan)
    for names in _HEAD:
        middle = arms.shape.points[:, :, [clip.skeleton.index[name] for name in names]].mean(axis=2)
        # The same for a whole clip, else rays jump.
        known = np.isfinite(found[:, -1]).all(axis=1)[:, None, None]
        found = np.where(known, found, middle)
    return np.repeat(found[:, :, None], 2, axis=2)


def _chest(arms: Arms) -> np.ndarray:
    """Return where the chests look, horizontal unit vectors (N, 3)."""
    across = steady(arms.shoulders[:, :, 0] - arms.shoulders[:, :, 1], round(_STEADY_S * 10))
    return unit(np.cross(across, arms.shape.up[:, 0]))


def _angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return angles between vectors (..., 3), radians."""
    return np.asarray(np.arccos(np.clip((unit(a) * unit(b)).sum(axis=-1), -1, 1)))
