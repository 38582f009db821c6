# SPDX-License-Identifier: Apache-2.0
"""Measure rules of gestures: where people point, how waves are told of few images, and shapes of hands in pictures.

Table 1: angle between the ray and the way from its start to what is meant, degrees (median, 90 %), by what is known of
the hand, where the ray starts, and noise; people (test/scenes/choreography.py) hold the tip of the forefinger between
the middle of their eyes and something 3 m away, in 24 directions, before 3 cameras.
Table 2: of 12 waves of 3 s, how many are told (by the whole of recognition), and how wrong their rates are, by images
per second and what is lost of them.
--hands: shapes of hands that are drawn (test/recognisers/test_hands.py): left and right ones, turned in the image by up
to 0.4 rad and away from the camera by up to 0.9 rad, with noise of 2 and of 6 mm of each point.
--pictures FOLDER: shapes of hands in pictures, by MediaPipe's hands; folders are named after what they show.

    python benchmarks/gestures.py
    python benchmarks/gestures.py --hands
    python benchmarks/gestures.py --pictures gesture_images
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from itertools import product
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test" / "recognisers"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from actions import CAMERAS
from learnt import HANDS, likeliest, still, table
from scenes.choreography import Do, Play, clip, perform, seen
from scenes.people import at
from test_hands import BENT, hand, look, turned

from pose_ros import wiring
from pose_ros.core.frame import Frame
from pose_ros.multiview.rig import PosedCamera
from pose_ros.recognisers.hand_shape import HandShape
from pose_ros.recognisers.pointing import Pointing, PointingOptions
from pose_ros.recognition import Recognition, recognisers

_MEANT_M = 3.0
_WAVES = 12


def pointing() -> None:
    """Print table 1."""
    print(f"{'known of the hand':<22}{'ray from':<12}{'noise cm':>9}{'told':>9}{'median':>9}{'90 %':>7}")
    for skeleton, known in (("wholebody133", "tip of the finger"), ("coco17", "wrist")):
        for start in ("eyes", "shoulder", "elbow"):
            for sigma_m in (0.0, 0.01, 0.03):
                errors, times = [], 0
                for seed, (side, lift, aside) in enumerate(
                    (side, lift, aside) for side in ("left", "right") for lift in (50, 70, 90, 110)
                    for aside in (-10, 10, 40)
                ):  # fmt: skip
                    play = perform(Do("stand", 1.0), Do("point", 1.5, side=side, angles={
                        f"{side}_shoulder_flexion": lift, f"{side}_shoulder_abduction": aside}))
                    for camera in CAMERAS.values():
                        times += 1
                        error = off(play, camera, skeleton, start, sigma_m, seed, side)
                        errors += [] if error is None else [error]
                middle, most = np.percentile(errors, [50, 90])
                print(f"{known:<22}{start:<12}{100 * sigma_m:>9.0f}{len(errors):>5}/{times}{middle:>9.1f}{most:>7.1f}")


def off(
    play: Play, camera: PosedCamera, skeleton: str, start: str, sigma_m: float, seed: int, side: str
) -> float | None:
    """Return the error of one ray, degrees; None: nobody points."""
    rule, tip = Pointing(PointingOptions(start=start)), f"{side}_hand/forefinger4"
    given = clip([play], play.seconds, takes=rule.takes, steps=rule.steps, step_s=rule.step_s, camera=camera,
                 skeleton=skeleton, sigma_m=sigma_m, seed=seed)
    ray = next((s.ray for s in rule.see(given) if s.score >= 0.6 and s.ray is not None), None)
    if ray is None:
        return None
    truth = at([play.person], np.array([play.seconds])).points(rule.takes)[0, 0]
    truth = truth @ camera.rotation.T + camera.translation
    eyes = (truth[rule.takes.index["left_eye"]] + truth[rule.takes.index["right_eye"]]) / 2
    way = truth[rule.takes.index[tip]] - eyes
    wanted = eyes + _MEANT_M * way / np.linalg.norm(way) - ray[:3]
    cosine = wanted @ ray[3:] / np.linalg.norm(wanted)
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def waves() -> None:
    """Print table 2."""
    print(f"\n{'images/s':<10}{'lost':>6}{'told':>8}{'rate off, median %':>20}")
    for rate_hz in (30.0, 15.0, 10.0, 5.0):
        for lost in (0.0, 0.3):
            errors = []
            for seed in range(_WAVES):
                rng = np.random.default_rng(seed)
                true = rng.uniform(1.0, 2.2)
                play = perform(Do("stand", 1.0), Do("wave", 3.0, rate_hz=true), Do("stand", 1.0))
                eye, recognition = CAMERAS["front"], Recognition(recognisers(["waving"]))
                last = None
                for stamp, poses in seen([play], eye, rate_hz=rate_hz, sigma_m=0.02, seed=seed):
                    if rng.random() >= lost:
                        told = recognition(poses, stamp, (1280, 720), place=(eye.rotation.T, eye.centre)).actions
                        last = next((a.values["rate"] for a in told if a.side == 2), last)
                errors += [] if last is None else [abs(last / true - 1)]
            middle = f"{100 * np.median(errors):.0f}" if errors else "-"
            print(f"{rate_hz:<10.0f}{100 * lost:>5.0f}%{len(errors):>5}/{_WAVES}{middle:>20}")


def drawn() -> None:
    """Print which shapes are seen in hands whose shape is known."""
    rule = HandShape()
    ways = list(product(("left", "right"), (-0.4, 0.0, 0.4), (-0.9, -0.6, 0.0, 0.6, 0.9)))
    for space, sigma_m in product(("local_points", "none"), (0.002, 0.006)):
        counts: Counter[tuple[str, str]] = Counter()
        for shape in BENT:
            for seed, (side, turn, tilt) in enumerate(ways):
                points = turned(turned(hand(shape, side), tilt, axis=1), turn)
                found, _ = look(rule, np.repeat(points[None], 15, axis=0), space=space, sigma_m=sigma_m, seed=seed)
                counts[shape, found[0].name if found and found[0].score >= 0.5 else "(none)"] += 1
        seen_by = "pixels" if space == "none" else space
        print(f"\n{len(ways)} hands of each shape by {seen_by}, noise {1e3 * sigma_m:.0f} mm, scores of 0.5 and more")
        table(counts, tuple(BENT), [*rule.actions, "(none)"])


def pictures(folder: Path) -> None:
    """Print which shapes are seen in pictures."""
    rule = HandShape()
    shown = sorted(path.name for path in folder.iterdir() if path.is_dir())
    for space in ("local_points", "pixels"):
        counts: Counter[tuple[str, str]] = Counter()
        for label in shown:
            for path in sorted((folder / label).iterdir()):
                read = cv2.imread(str(path))
                assert read is not None
                image = np.ascontiguousarray(read[..., ::-1])
                poses = wiring.build(HANDS)(Frame(image, 1, "camera")).poses
                if space == "pixels":
                    poses = poses.replace(local_points=None, covariances=None)
                found = likeliest(rule.see(still(poses, rule.steps, rule.step_s, (image.shape[1], image.shape[0]))))
                for row in range(len(poses)):
                    sure = row in found and found[row].score >= 0.5
                    counts[label, found[row].name if sure else "(none)"] += 1
                counts[label, "(no hand)"] += not len(poses)
        print(f"\nhand_shape by {space}, scores of 0.5 and more")
        table(counts, shown, [*rule.actions, "(none)", "(no hand)"])


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    parser.add_argument("--hands", action="store_true")
    given = parser.parse_args()
    if given.hands:
        drawn()
    elif given.pictures:
        pictures(given.pictures)
    else:
        pointing()
        waves()


if __name__ == "__main__":
    main()
