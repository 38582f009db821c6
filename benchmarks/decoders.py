# SPDX-License-Identifier: Apache-2.0
"""Time from a network's outputs to keypoints, for one, five and thirty people of whom it is known where they are.

    python benchmarks/decoders.py
    python benchmarks/decoders.py --rounds 101

The maps are those of the tests: Gaussians with noise, overlapping people. One processor; median of the rounds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "test/data/networks"))
import paf_scenes
import planted

from pose_ros.decode import embedding, paf, peaks, simcc
from pose_ros.decode.heatmap import DECODERS

_PEOPLE = {1: "one", 5: "five", 30: "thirty"}
#: Of associative embedding on COCO (HigherHRNet): first the face and the trunk, then the limbs.
_ORDER = [0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16]


def runs(n: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is timed for n people."""
    rng = np.random.default_rng(0)
    _, heatmaps = planted.noisy_blobs(n, 17, (48, 64))
    for name, decode in DECODERS.items():
        if name != "combined":
            yield f"heat maps 64x48, 17 points, {name}", lambda decode=decode: decode(heatmaps, 11)
    for k in (17, 133):
        x, y = (rng.random((n, k, bins), np.float32) for bins in (384, 512))
        for score, refine in (("min", "none"), ("min", "dark"), ("softmax", "none")):
            yield (f"SimCC 384 + 512, {k} points, score {score}, refine {refine}",
                   lambda x=x, y=y, score=score, refine=refine: simcc.decode(x, y, score=score, refine=refine))
    kind, scene = paf_scenes.KINDS["coco18"], paf_scenes.scenes("coco18")[_PEOPLE[n]]
    graph = paf.Graph(kind.limbs, kind.channels, frozenset({(2, 16), (5, 17)}))
    rule, limits = peaks.RULES["openpose"], paf.Limits()
    maps = scene.heatmaps[:-1]
    found = peaks.find_peaks(maps, 8, limits.peak, rule)
    fine = maps.shape[2] * 8, maps.shape[1] * 8
    yield "affinity fields, OpenPose 656x368: peaks", lambda: peaks.find_peaks(maps, 8, limits.peak, rule)
    yield ("affinity fields, OpenPose 656x368: grouping",
           lambda: paf.group(found, scene.fields, fine, 18, graph, rule, limits))
    for missing in (0.0, 0.2):
        _, heat, tags, _ = planted.crowd(n, 17, (384, 256), missing=missing)
        tagged = embedding.peaks(heat, tags, 0.1, 30)
        part = f"tags, maps 384x256, {missing:.0%} of the points hidden"
        yield f"{part}: grouping", lambda tagged=tagged: embedding.grouped(tagged, _ORDER, 1.0, 30)
        yield f"{part}: all", lambda heat=heat, tags=tags: embedding.people(heat, tags, order=_ORDER)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=51)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    found: dict[str, list[float]] = {}
    for n in _PEOPLE:
        for name, run in runs(n):
            run()
            times = []
            for _ in range(args.rounds):
                start = time.perf_counter()
                run()
                times.append(time.perf_counter() - start)
            found.setdefault(name, []).append(statistics.median(times) * 1e3)
    print("| decoder |", " | ".join(f"{n} people, ms" for n in _PEOPLE), "|")
    print("|---|" + "---|" * len(_PEOPLE))
    for name, medians in found.items():
        print(f"| {name} |", " | ".join(f"{value:.2f}" for value in medians), "|")


if __name__ == "__main__":
    main()
