# SPDX-License-Identifier: Apache-2.0
"""Measure what rules recognise of people whose deeds are known, and how long they take.

The people are those of the tests (test/scenes/choreography.py): three cameras, three heights, noise of 2 px and 2 cm,
30 images per second. They go through all of the recognition: windows, rules, onset and end.

Table 1: for each thing that people do: how many times they did it, how many of these were told (an action of that name
overlaps it), how many were told that nobody did, and how late their onsets are (median and 90 %, ms; of what begins
slowly the onset is the middle of the movement). Table 2: of the time in which people are in a posture, the part in
which each posture is told. Table 3: time for one look, the best of many rounds, CPU time of this thread.

    python benchmarks/actions.py
    python benchmarks/actions.py --rules posture --space none
    python benchmarks/actions.py --video clip.mp4 --model blazepose-full --annotated out.jpg
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

from scenes.cameras import posed
from scenes.choreography import FRONT, Deed, Do, Play, perform, seen
from scenes.observing import EPOCH_NS

from pose_ros import wiring
from pose_ros.core.frame import Frame
from pose_ros.media.annotate import annotate
from pose_ros.recognisers.episodes import Action, Phase
from pose_ros.recognisers.window import Window
from pose_ros.recognition import Recognition, default_rules, recognisers

CAMERAS = {
    "front": FRONT,
    "side": posed("side", (0.3, -4.5, 1.3), (0, 0, 0.9)),
    "oblique": posed("oblique", (3.0, -3.0, 2.2), (0, 0, 0.8)),
}
#: What people do one after the other. Whoever adds a rule adds what it is for, and what it must not be taken for.
SCRIPTS: Sequence[Sequence[Do]] = (
    (Do("stand", 2), Do("sit", 3), Do("stand", 2), Do("bend", 2), Do("stand", 1), Do("squat", 2), Do("stand", 1)),
    (Do("stand", 2), Do("lie", 3), Do("stand", 1, ramp_s=2.5), Do("lie_side", 2)),
    (Do("stand", 2), Do("fall", 3)),
    (Do("stand", 2), Do("walk", 2), Do("fall_forward", 3)),
    (Do("stand", 1), Do("sit", 1, ramp_s=0.6), Do("stand", 1, ramp_s=0.7), Do("squats", 2, times=4)),
    (Do("stand", 1), Do("wave", 3, side="right"), Do("stand", 2), Do("wave", 2, side="left", rate_hz=2.2)),
    (Do("sit", 2), Do("wave", 3, side="left"), Do("stand", 2)),
    (Do("stand", 1), Do("raise", 2, side="right"), Do("stand", 1), Do("raise_front", 2, side="left")),
    (Do("stand", 1), Do("point", 2, side="right"), Do("stand", 1), Do("point", 2, side="left")),
    (Do("stand", 1), Do("walk", 4, speed_mps=1.2), Do("stand", 1)),
    (Do("stand", 1), Do("walk", 4, speed_mps=0.8), Do("sit", 2)),
)  # fmt: skip
_HANDS = "mediapipe-hand-landmark-full"
POSTURES = ("standing", "sitting", "squatting", "kneeling", "bending", "lying")


def told(play: Play, rules: Sequence[str], camera: str, space: str, seed: int) -> tuple[list[Action], list[set[str]]]:
    """Return all that was told of a play, once and as it was at last, and what was going on at each image."""
    eye = CAMERAS[camera]
    recognition = Recognition(recognisers(rules))
    last: dict[tuple[str, int, int, int], Action] = {}
    going = []
    for stamp, poses in seen([play], eye, "halpe26", space=space, sigma_px=2, sigma_m=0.02, seed=seed):
        actions = recognition(poses, stamp, eye.camera.size_wh, place=(eye.rotation.T, eye.centre)).actions
        last.update({(a.name, a.side, a.onset_ns, a.count): a for a in actions})
        going.append({a.name for a in actions if a.phase in (Phase.BEGAN, Phase.ONGOING)})
    return list(last.values()), going


def overlap(action: Action, deed: Deed, until_s: float) -> bool:
    """Whether both are the same thing, done with the same side at the same time."""
    onset, end = ((ns - EPOCH_NS) * 1e-9 for ns in (action.onset_ns, action.end_ns or EPOCH_NS + int(until_s * 1e9)))
    sides = 0 in (action.side, deed.side) or action.side == deed.side
    return action.name == deed.name and sides and min(end, deed.end_s) > max(onset, deed.onset_s) - 0.3


def recognise(rules: Sequence[str], space: str) -> None:
    """Print tables 1 and 2."""
    known = {name for rule in recognisers(rules).values() for name in rule.actions}
    done, found, false = Counter[str](), Counter[str](), Counter[str]()
    late: dict[str, list[float]] = {}
    shares = np.zeros((len(POSTURES), len(POSTURES) + 1))
    for number, script in enumerate(SCRIPTS):
        for seed, (camera, height) in enumerate(zip(CAMERAS, (1.58, 1.82, 1.7), strict=True)):
            play = perform(*script, height_m=height)
            actions, going = told(play, rules, camera, space, 100 * number + seed)
            for deed in play.truth:
                same = [a for a in actions if overlap(a, deed, play.seconds)]
                done[deed.name] += 1
                found[deed.name] += bool(same)
                if same:
                    onset = min(((a.onset_ns - EPOCH_NS) * 1e-9 - deed.onset_s for a in same), key=abs)
                    late.setdefault(deed.name, []).append(1e3 * onset)
            false.update(a.name for a in actions if not any(overlap(a, d, play.seconds) for d in play.truth))
            for i, names in enumerate(going):
                for posture in play.at(i / 30).intersection(POSTURES):
                    row = POSTURES.index(posture)
                    shares[row, -1] += 1
                    shares[row, :-1] += [name in names for name in POSTURES]
    print(f"\nrules {', '.join(rules)}; space: {space}\n")
    print(f"{'action':<14}{'done':>6}{'told':>6}{'false':>7}{'onset ms':>10}{'90 %':>8}")
    for name in sorted(known & (done.keys() | false.keys())):
        delays = late.get(name, [])
        middle, most = (f"{np.percentile(delays, p):.0f}" if delays else "-" for p in (50, 90))
        print(f"{name:<14}{done[name]:>6}{found[name]:>6}{false[name]:>7}{middle:>10}{most:>8}")
    if "posture" in rules:
        print("\nof the time in a posture, per cent in which each is told\n" + " " * 12 + "".join(
            f"{name:>11}" for name in POSTURES))
        for name, row in zip(POSTURES, shares, strict=True):
            if row[-1]:
                print(f"{name:<12}" + "".join(f"{100 * value / row[-1]:>11.1f}" for value in row[:-1]))


def speed(rules: Iterable[str]) -> None:
    """Print table 3."""
    numbers = (1, 5, 20)
    found = [dict(timed(rules, n)) for n in numbers]
    print(f"\n{'CPU ms of one look':<22}" + "".join(f"{n:>4} people" for n in numbers))
    for name in found[0]:
        print(f"{name:<22}" + "".join(f"{row[name]:>11.2f}" for row in found))


def timed(rules: Iterable[str], people: int) -> list[tuple[str, float]]:
    """Return what takes how long, milliseconds."""
    plays = [perform(Do("stand", 1), Do("wave", 8), place=(0.0, 0.1 * i)) for i in range(people)]
    images = list(seen(plays, skeleton="halpe26"))
    place = FRONT.rotation.T, FRONT.centre
    made = recognisers(rules)
    windows = {rule.takes: Window(rule.takes, 10.0) for rule in made.values() if rule.subject == "body"}
    for window in windows.values():
        for stamp, poses in images:
            window.put(poses, stamp, (1280, 720), place)
    stamp, poses = images[-1]
    rows = [("image into window", best(partial(next(iter(windows.values())).put, poses, stamp, (1280, 720), place)))]
    for name, rule in made.items():
        if rule.takes in windows:
            cut = partial(windows[rule.takes].clip, rule.steps, rule.step_s)
            rows += [(f"{name}: clip", best(cut)), (f"{name}: see", best(partial(rule.see, cut())))]
    return rows


def best(run: Callable[[], object]) -> float:
    """Return milliseconds of CPU time of the best of many rounds."""
    found = []
    for _ in range(15):
        began = time.thread_time()
        for _ in range(5):
            run()
        found.append((time.thread_time() - began) / 5e-3)
    return min(found)


def video(
    path: Path, model: str, rules: Sequence[str], annotated: Path | None, at_s: Sequence[float], *, hands: bool
) -> None:
    """Print what is told of a video; there is no truth but what one sees in it."""
    import cv2

    capture = cv2.VideoCapture(str(path))
    fps = capture.get(cv2.CAP_PROP_FPS) or 30.0
    pipeline = wiring.build({"model": model, **({"hands": {"model": _HANDS}} if hands else {})})
    looks = {kind: Recognition({n: r for n, r in recognisers(rules).items() if r.subject == kind}, fail=print)
             for kind in ("body", "hand")}  # fmt: skip
    index, shown, last = 0, [], None
    while (read := capture.read())[0]:
        image = np.ascontiguousarray(read[1][..., ::-1])
        stamp = round(index / fps * 1e9)
        size = image.shape[1], image.shape[0]
        result = pipeline(Frame(image, stamp, "camera"))
        own = result.parts.get("hands")
        beside = None if own is None else own.poses
        told = list(looks["body"](result.poses, stamp, size, result.ended_ids, hands=beside).actions)
        if own is not None:
            told += looks["hand"](own.poses, stamp, size, own.ended_ids).actions
        for action in told:
            if action.phase in (Phase.BEGAN, Phase.ENDED, Phase.EVENT):
                end = "" if action.end_ns is None else f" .. {action.end_ns * 1e-9:.2f}"
                values = " ".join(f"{name}={value:.2f}" for name, value in action.values.items())
                print(f"{index / fps:7.2f} s  {_who(action)}: {action.phase.name:<6} {action.name:<12} "
                      f"{action.score:.2f}  {action.onset_ns * 1e-9:.2f}{end} {action.count or ''} {values}")
        if annotated and told:
            last = annotate(image, result.poses, result.part_poses)
            for row, action in enumerate(a for a in told if a.phase != Phase.ENDED):
                text = f"{_who(action)}: {action.name} {action.score:.2f}"
                cv2.putText(last, text, (10, 30 + 28 * row), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (255, 220, 0), 2)
        if annotated and len(shown) < len(at_s) and index / fps >= at_s[len(shown)]:
            shown.append(annotate(image, result.poses, result.part_poses) if last is None else last)
        index += 1
    if annotated and (shown or last is not None):
        cv2.imwrite(str(annotated), np.hstack(shown or [last])[..., ::-1])


def _who(action: Action) -> str:
    side = {1: " left", 2: " right"}.get(action.side, "")
    return f"hand {action.id} of {action.parent}{side}" if action.parent else f"person {action.id}{side}"


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", default=",".join(default_rules()), help="names with commas between them")
    parser.add_argument("--space", choices=("points", "local_points", "none"), help="only this one")
    parser.add_argument("--video", type=Path, help="tell what is recognised in a video instead")
    parser.add_argument("--model", default="blazepose-full", help="for the video")
    parser.add_argument("--hands", action="store_true", help="look at the hands of the people in the video, too")
    parser.add_argument("--annotated", type=Path, help="write images of the video here, side by side")
    parser.add_argument("--at", type=float, nargs="+", default=(), help="of these, seconds; the last one when left out")
    given = parser.parse_args()
    rules = given.rules.split(",")
    if given.video:
        video(given.video, given.model, rules, given.annotated, given.at, hands=given.hands)
        return
    for space in [given.space] if given.space else ["points", "local_points", "none"]:
        recognise(rules, space)
    speed(rules)


if __name__ == "__main__":
    main()
