# SPDX-License-Identifier: Apache-2.0
"""Handovers and separations on people of test/scenes: how far off palms are, what hands are taken for, and time.

    python benchmarks/manipulation.py

Errors are those of single images without any filter, at the given noise of every keypoint; times are of the processor,
the median of many images.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test" / "manipulation"))

from reaching import PALM, SIDES, reach, seen, sphere, true_palm

from pose_ros.core.poses import Poses, concatenate
from pose_ros.manipulation.intent import Intent
from pose_ros.manipulation.separation import Robot
from pose_ros.manipulation.watch import Watch, WatchOptions

TOOL, SHOULDER = np.array([0.2, 0.0, 1.0]), np.array([0.0, 0.0, 1.0])
STILL = np.eye(3), np.zeros(3)


def palms() -> None:
    """Print the errors of palms and how often intents are right once they have settled."""
    print("skeleton      hand     noise    palm  turned   intent right, wrong")
    for skeleton, tracked in (("coco17", True), ("wholebody133", False), ("coco17", False)):
        for sigma_m in (0.0, 0.01):
            off, turned, told = [], [], []
            for palm, curl, wanted in (("up", 0.1, Intent.TAKE), *((palm, 0.9, Intent.GIVE) for palm in PALM)):
                play, watch = reach(palm, curl), Watch(WatchOptions())
                for i, (stamp, body, hand, model) in enumerate(seen(play, skeleton=skeleton, sigma_m=sigma_m)):
                    sight = watch(body, hand if tracked else None, stamp, *STILL, sphere(0.2), TOOL, SHOULDER)
                    if i < 60:
                        continue
                    place, axes = true_palm(model, play, i / 30)
                    row = list(sight.hands.sides).index(SIDES["right"])
                    off.append(np.linalg.norm(sight.hands.palms[row] - place) * 1e3)
                    cosine = (np.trace(sight.hands.rotations[row].T @ axes) - 1) / 2
                    turned.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))) if sight.hands.turned[row] else np.nan)
                    told.append((sight.intents[row] == wanted, sight.intents[row] not in (wanted, Intent.NONE)))
            right, wrong = np.mean(told, axis=0)
            print(f"{skeleton:13} {'tracked' if tracked else 'no':8} {sigma_m * 1e3:2.0f} mm {np.median(off):5.1f} mm "
                  f"{np.median(turned):5.1f} deg   {right:.2f}, {wrong:.2f}")


def times() -> None:
    """Print how long one moment takes."""
    print("people  parts of the robot  ms per moment")
    moments = list(seen(reach(), skeleton="coco17", sigma_m=0.01, until_s=2.0))
    ends = np.cumsum(np.full((13, 3), 0.1), axis=0)
    chain = np.stack([ends[:-1], ends[1:]], axis=1)
    for people in (1, 3, 10):
        for parts in (2, 12):
            names = [(f"link{i}", f"link{i + 1}") for i in range(parts)]
            robot, watch = Robot(names, chain[:parts], np.zeros((parts, 2, 3)), np.full(parts, 0.1)), Watch()
            took = []
            for stamp, body, hand, _ in moments:
                bodies, hands = ([_moved(one, 3.0 * i, i) for i in range(people)] for one in (body, hand))
                crowd = concatenate(bodies), concatenate(hands)
                begin = time.process_time()
                watch(*crowd, stamp, *STILL, robot, TOOL, SHOULDER)
                took.append(time.process_time() - begin)
            print(f"{people:6} {parts:19} {np.median(took) * 1e3:14.2f}")


def _moved(poses: Poses, metres: float, number: int) -> Poses:
    """Return the same person somewhere else, with other ids."""
    assert poses.points is not None
    parents = np.where(poses.parents > 0, poses.parents + 100 * number, 0)
    return poses.replace(points=poses.points + metres, ids=poses.ids + 100 * number, parents=parents)


if __name__ == "__main__":
    palms()
    times()
