# SPDX-License-Identifier: Apache-2.0
"""Measure tracking and filtering: time for one image, ids that change, and how much filters lag behind.

Scenes are those of the tests: people who cross, seen by one camera with noise and occlusion; some people and images are
missing. A person's id that changes is a switch when the new id was somebody else's, and a fragment when it is new.

Lag: a point swings along a line (sine, 0.2 m, 0.5 .. 2 Hz; 30 images per second); the phase of what comes out at that
frequency, by least squares, is a delay in ms. Noise: what is left of white noise of 2 cm while the point is still.

    python benchmarks/tracking.py
    python benchmarks/tracking.py --only time
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

from scenes import Faults, Person, circling, crossing, observe, posed

from pose_ros.core.poses import Poses, Source
from pose_ros.core.skeleton import Skeleton
from pose_ros.skeletons import catalogue
from pose_ros.tracking.appearance import appearance
from pose_ros.tracking.point_filter import FilterOptions, PointFilter
from pose_ros.tracking.smooth import PoseSmoother
from pose_ros.tracking.track import Tracker, TrackerOptions

STEP_NS = 33_333_333
RATE_HZ = 1e9 / STEP_NS


def best_of(run: Callable[[], object], calls: int, rounds: int = 5) -> tuple[float, float]:
    """Return milliseconds for one call: of the wall clock and of this thread's CPU time, the best round."""
    found = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.thread_time()
        run()
        found.append(((time.perf_counter() - wall) / calls * 1e3, (time.thread_time() - cpu) / calls * 1e3))
    return min(w for w, _ in found), min(c for _, c in found)


def crowd(people: int, keypoints: int, frames: int, *, hidden: bool, seed: int = 0) -> list[Poses]:
    """Return people who walk about in an image of 1920 x 1080.

    If hidden, a fifth of the keypoints and a tenth of the people are missing from each frame.
    """
    rng = np.random.default_rng(seed)
    skeleton = Skeleton(f"k{keypoints}", tuple(map(str, range(keypoints))))
    place, speed = rng.uniform((0, 0), (1920, 1080), (people, 2)), rng.normal(0, 60, (people, 2))
    shape = rng.uniform((-30, -80), (30, 80), (people, keypoints, 2))
    out = []
    for i in range(frames):
        points = place[:, None] + shape + speed[:, None] * i * STEP_NS * 1e-9 + rng.normal(0, 1, shape.shape)
        boxes = np.concatenate([points.min(axis=1), points.max(axis=1)], axis=1)
        shown = np.arange(people)
        if hidden:
            points[rng.random(points.shape[:2]) < 0.2] = np.nan
            shown = np.flatnonzero(rng.random(people) > 0.1)
        out.append(Poses(skeleton, points, np.isfinite(points[..., 0]) * 0.9, boxes, ids=1 + np.arange(people),
                         points=rng.normal(0, 1, (people, keypoints, 3)) * 0.02,
                         local_points=rng.normal(0, 1, (people, keypoints, 3)) * 0.02,
                         covariances=np.broadcast_to(4e-4 * np.eye(3), (people, keypoints, 3, 3)),
                         sources=np.full((people, keypoints), Source.MEASURED)).select(shown))  # fmt: skip
    return out


def times() -> None:
    """Print how long one image takes."""
    print("time for one image, ms               wall     CPU")
    for people, keypoints, hidden in (
        (1, 478, False), (1, 17, False), (5, 33, False), (10, 17, True), (50, 17, False), (50, 17, True)
    ):  # fmt: skip
        frames = crowd(people, keypoints, 100, hidden=hidden)

        def play(step: Callable[[Poses, int], object], frames: list[Poses] = frames) -> Callable[[], None]:
            def run() -> None:
                for i, poses in enumerate(frames):
                    step(poses, i * STEP_NS)

            return run

        flat = [p.replace(points=None, covariances=None) for p in frames]
        what = f"{people} x {keypoints}{', a fifth hidden' if hidden else ''}"
        for name, step, seen in (
            ("track", Tracker().update, flat),
            ("smooth, pixels and local points", PoseSmoother(), flat),
            ("kalman, metres", PointFilter(), frames),
            ("one euro, metres", PointFilter(FilterOptions(kind="one_euro")), frames),
        ):
            wall, cpu = best_of(play(step, seen), len(frames))
            print(f"  {what:24} {name:32} {wall:.3f}   {cpu:.3f}")
    image, frames = np.zeros((1080, 1920, 3), np.uint8), crowd(50, 17, 20, hidden=False)
    wall, cpu = best_of(lambda: [appearance(image, poses) for poses in frames], len(frames))
    print(f"  {'50 x 17':24} {'appearance':32} {wall:.3f}   {cpu:.3f}")


def id_changes(tracker: Tracker, frames: Iterable[tuple[int, Sequence[int], Poses]]) -> tuple[int, int]:
    """Return how many ids of persons became those of others, and how many became new ones."""
    last: dict[int, int] = {}
    owner: dict[int, int] = {}
    switches = fragments = 0
    for stamp_ns, people, poses in frames:
        ids = tracker.update(poses, stamp_ns)[0].ids.tolist()
        for person, number in zip(people, ids, strict=True):
            if last.get(person, number) != number:
                other = owner.get(number, person) != person
                switches, fragments = switches + other, fragments + (not other)
            last[person] = number
            owner.setdefault(number, person)
    return switches, fragments


def scenes() -> None:
    """Print how often ids change."""
    seen = {"sigma_px": 3, "spread": 0.4, "outliers": 0.02}
    print("\nid switches and fragments, four cameras each; max_lost 1 s and 2 s")
    everyone: list[tuple[str, list[Person], float, float, Faults]] = [
        ("2 cross", crossing(2), 6, 30, Faults(**seen, misses=0.03)),
        ("4 cross", crossing(4), 6, 30, Faults(**seen, misses=0.03)),
        ("4 cross, hidden is guessed", crossing(4), 6, 30, Faults(**seen, misses=0.03, guess=True)),
        ("4 cross, 10 Hz, drops", crossing(4), 6, 10, Faults(**seen, misses=0.1, drops=0.1)),
        ("4 cross, 5 Hz", crossing(4), 6, 5, Faults(**seen, misses=0.05)),
        ("5 in a circle, 30 Hz", circling(5, 2.0), 10, 30, Faults(**seen, misses=0.03)),
        ("5 in a circle, 10 Hz, drops", circling(5, 2.0), 10, 10, Faults(**seen, misses=0.1, drops=0.1)),
        ("8 in a circle, 10 Hz", circling(8, 2.5), 10, 10, Faults(**seen, misses=0.05)),
    ]
    for name, people, seconds, rate, faults in everyone:
        totals = np.zeros((2, 2), int)
        for seed in range(4):
            angle = 0.3 + 1.7 * seed
            camera = posed("camera", (4.5 * np.cos(angle), 4.5 * np.sin(angle), 1.5), target=(0, 0, 0.9))
            recording = observe(people, camera, seconds=seconds, rate_hz=rate, faults=faults, seed=seed)
            frames = [(s.stamp_ns, s.true_ids.tolist(), s.poses) for s in recording.of("camera")]
            totals += [id_changes(Tracker(TrackerOptions(max_lost=lost)), frames) for lost in (1.0, 2.0)]
        (a, b), (c, d) = totals.tolist()
        print(f"  {name:32} {a} + {b}   {c} + {d}")


def lag() -> None:
    """Print delay and noise of the filters."""
    kinds = {
        "kalman, 2 m/s (default)": FilterOptions(),
        "kalman, 1 m/s": FilterOptions(acceleration=1.0),
        "kalman, 4 m/s": FilterOptions(acceleration=4.0),
        "one euro (default)": FilterOptions(kind="one_euro"),
        "one euro, MediaPipe's 0.1, 40": FilterOptions(kind="one_euro", min_cutoff=0.1, beta=40.0),
        "none": FilterOptions(kind="none"),
    }
    frequencies = (0.5, 1.0, 2.0)
    print("\nfilters in metres, 30 Hz, noise 2 cm: delay in ms at", *frequencies, "Hz of what is said of the image,\n"
          "of what is said of 100 ms later; noise left at rest, mm of 20")  # fmt: skip
    skeleton, rng = catalogue.get("coco17"), np.random.default_rng(0)
    spread = np.broadcast_to(0.02**2 * np.eye(3), (1, 17, 3, 3))
    for name, options in kinds.items():
        delays = []
        for frequency in (*frequencies, 0.0):
            points, found, later = PointFilter(options), [], []
            seconds = np.arange(600) * STEP_NS * 1e-9
            for i, moment in enumerate(seconds):
                place = rng.normal(0, 0.02, (1, 17, 3))
                place[..., 0] += 0.2 * np.sin(2 * np.pi * frequency * moment)
                poses = Poses(skeleton, np.zeros((1, 17, 2)), np.ones((1, 17)), ids=np.ones(1), points=place,
                              covariances=spread)  # fmt: skip
                result = points(poses, i * STEP_NS)
                found.append(result.points[0, :, 0])
                later.append(points.predicted(result, i * STEP_NS + 100_000_000).points[0, :, 0])
            if frequency:
                delays.append([_delay_ms(np.array(x), seconds, frequency) for x in (found, later)])
            else:
                rest = 1e3 * float(np.std(found[100:]))
        now, ahead = np.array(delays).T
        # A prediction that is right comes 100 ms early.
        print(f"  {name:32}", *(f"{d:5.1f}" for d in now), "  ", *(f"{d + 100:6.1f}" for d in ahead), f"  {rest:5.1f}")


def _delay_ms(found: np.ndarray, seconds: np.ndarray, frequency: float) -> float:
    """Return how much later than a sine (T, K) comes, milliseconds."""
    turn = 2 * np.pi * frequency * seconds[100:]
    base = np.stack([np.sin(turn), np.cos(turn), np.ones(len(turn))], axis=1)
    sine, cosine, _ = np.linalg.lstsq(base, found[100:].mean(axis=1), rcond=None)[0]
    return float(np.arctan2(-cosine, sine) / (2 * np.pi * frequency) * 1e3)


def main() -> None:
    """Measure."""
    parts = {"time": times, "scenes": scenes, "lag": lag}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=parts, help="measure this alone")
    only = parser.parse_args().only
    for name, part in parts.items():
        if only in (None, name):
            part()


if __name__ == "__main__":
    main()
