# SPDX-License-Identifier: Apache-2.0
"""Measure how well repetitions and steps are counted, of people whose movements are known.

The people are those of test/scenes/choreography.py. Six exercise, each another thing four times, and four walk, before
three cameras, with noise, missing images and hidden keypoints, through all of the recognition: windows, rules and
counts.

Table 1: repetitions of each exercise that were told, and how many were told that nobody did, in metres and in the image
alone. Table 2: the same of all exercises in metres, and how late their onsets and ends are. Table 3: contacts and ends
of contact of feet, and errors of cadence, step length and speed while people walk steadily. The truth of a contact is
where the gait's phase says so, of its end where the toe without noise is farthest behind the hips; of a step's length
how far the heels without noise are apart then.

    python benchmarks/counts.py
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "test"))

from scenes.body import MODEL
from scenes.cameras import posed
from scenes.choreography import FRONT, REPEATED, Do, Play, perform, seen
from scenes.observing import EPOCH_NS
from scenes.people import _STRIDE, at

from pose_ros.core.poses import Poses
from pose_ros.recognisers.episodes import Action, Phase
from pose_ros.recognition import Recognition, recognisers

CAMERAS = {"front": FRONT, "side": posed("side", (0.3, -4.5, 1.3), (0, 0, 0.9)),
           "oblique": posed("oblique", (3.0, -3.0, 2.2), (0, 0, 0.8))}  # fmt: skip
_FIRST = {"push_ups": "plank", "sit_ups": "lie_bent"}


@dataclass(frozen=True)
class Trouble:
    """What makes it harder."""

    rate_hz: float = 30.0
    sigma_px: float = 2.0
    sigma_m: float = 0.02
    #: Part of the images that is missing, and of the time in which each keypoint is hidden, 0.3 s on end.
    dropped: float = 0.0
    hidden: float = 0.0


TROUBLES: Mapping[str, Trouble] = {
    "30 Hz": Trouble(),
    "15 Hz": Trouble(rate_hz=15),
    "10 Hz": Trouble(rate_hz=10),
    "30 Hz, 30 % of the images missing": Trouble(dropped=0.3),
    "30 Hz, keypoints hidden for 20 % of the time": Trouble(hidden=0.2),
    "30 Hz, 4 px and 4 cm": Trouble(sigma_px=4, sigma_m=0.04),
}


def images(plays: Sequence[Play], camera: str, space: str, trouble: Trouble, seed: int) -> Iterator[tuple[int, Poses]]:
    """Yield what is seen, with trouble."""
    rng = np.random.default_rng(seed)
    until: np.ndarray | None = None
    for stamp, poses in seen(plays, CAMERAS[camera], "halpe26", rate_hz=trouble.rate_hz, space=space,
                             sigma_px=trouble.sigma_px, sigma_m=trouble.sigma_m, seed=seed):  # fmt: skip
        until = np.zeros(poses.scores.shape) if until is None else until
        begins = rng.random(until.shape) < trouble.hidden / 0.3 / trouble.rate_hz
        until = np.where(begins, stamp * 1e-9 + 0.3, until)
        gone = until > stamp * 1e-9
        if rng.random() >= trouble.dropped:
            columns = {name: np.where(gone[..., None], np.nan, getattr(poses, name))
                       for name in ("keypoints", "points", "local_points") if getattr(poses, name) is not None}
            yield stamp, poses.replace(scores=np.where(gone, 0, poses.scores), **columns)


def told(rule: str, plays: Sequence[Play], camera: str, space: str, trouble: Trouble, seed: int
         ) -> list[tuple[float, Action]]:  # fmt: skip
    """Return all that was told, and when."""
    eye, recognition = CAMERAS[camera], Recognition(recognisers([rule]))
    place = eye.rotation.T, eye.centre
    return [
        ((stamp - EPOCH_NS) * 1e-9, action)
        for stamp, poses in images(plays, camera, space, trouble, seed)
        for action in recognition(poses, stamp, eye.camera.size_wh, place=place).actions
    ]


def seconds(stamp_ns: int | None) -> float:
    """Return the time of a stamp in a play."""
    return ((stamp_ns or 0) - EPOCH_NS) * 1e-9


def exercising() -> list[Play]:
    """Return six people, one for each exercise, the last two at another pace."""
    return [perform(Do(_FIRST.get(what, "stand"), 1.0), Do(what, 1.5, times=4), height_m=1.6 + 0.05 * i)
            for i, what in enumerate(REPEATED)]  # fmt: skip


def counted(camera: str, space: str, trouble: Trouble) -> tuple[Counter[str], Counter[str], list[float], list[float]]:
    """Return repetitions told and told wrongly by the exercise that is done, errors of onsets and of ends, ms."""
    plays, right, wrong = exercising(), Counter[str](), Counter[str]()
    onsets: list[float] = []
    ends: list[float] = []
    left = [[deed for deed in play.truth if deed.event] for play in plays]
    names = [play_deeds[0].name for play_deeds in left]
    for _, action in told("repetitions", plays, camera, space, trouble, seed=len(camera)):
        deeds = left[action.id - 1]
        onset, end = seconds(action.onset_ns), seconds(action.end_ns)
        met = next((d for d in deeds if d.name == action.name and min(end, d.end_s) - max(onset, d.onset_s) > 0), None)
        if met is None:
            wrong[names[action.id - 1]] += 1
            continue
        deeds.remove(met)
        right[met.name] += 1
        onsets.append(1e3 * (onset - met.onset_s))
        ends.append(1e3 * (end - met.end_s))
    return right, wrong, onsets, ends


def spread(errors: Sequence[float]) -> str:
    """Return the median error and the 90th percentile of its size."""
    return f"{np.median(errors):+8.0f}{np.percentile(np.abs(errors), 90):8.0f}" if len(errors) else f"{'-':>8}{'-':>8}"


def exercises() -> None:
    """Print tables 1 and 2."""
    views = {"metres": [("front", "points")], **{f"image, {c}": [(c, "none")] for c in CAMERAS}}
    found = {title: [counted(*one, Trouble()) for one in ways] for title, ways in views.items()}
    print(f"\nof 4 repetitions, told and (told wrongly)\n{'':<14}" + "".join(f"{title:>16}" for title in views))
    for name, *_ in REPEATED.values():
        print(f"{name:<14}" + "".join(
            f"{sum(f[0][name] for f in ways):>10} ({sum(f[1][name] for f in ways)})  " for ways in found.values()))
    print(f"\n{'metres, 3 cameras':<46}{'done':>6}{'told':>6}{'false':>7}"
          f"{'onset ms':>9}{'90 %':>7}{'end ms':>9}{'90 %':>8}")
    for title, trouble in TROUBLES.items():
        runs = [counted(camera, "points", trouble) for camera in CAMERAS]
        right, wrong = (sum(sum(run[i].values()) for run in runs) for i in (0, 1))
        onsets, ends = (np.concatenate([run[i] for run in runs]) for i in (2, 3))
        print(f"{title:<46}{4 * len(REPEATED) * 3:>6}{right:>6}{wrong:>7}{spread(onsets)} {spread(ends)}")


#: Speeds, m/s, and heights, metres.
WALKERS = ((0.7, 1.6), (1.0, 1.82), (1.2, 1.7), (1.5, 1.75))
_WALK_S = 6.0


def walking() -> tuple[list[Play], list[dict[str, np.ndarray]]]:
    """Return people who walk past, and when their feet touch the ground and leave it, how long their steps are."""
    plays, truths = [], []
    for speed, height in WALKERS:
        play = perform(Do("stand", 1.0), Do("walk", _WALK_S, speed_mps=speed), height_m=height,
                       place=(-speed * _WALK_S / 2, 0))
        begin = next(deed for deed in play.truth if deed.name == "walking").onset_s
        rate = speed / (_STRIDE * height)
        truth = {"cadence": np.array(120 * rate), "speed": np.array(speed),
                 "steady": np.array([begin + 0.4, begin + _WALK_S - 0.4])}
        lengths = []
        for side, shift in (("left", 0.0), ("right", 0.5)):
            contacts = begin + (np.arange(20) + shift) / rate
            truth[f"{side}_contact"] = contacts[contacts < begin + _WALK_S]
            # The toe is farthest behind somewhere in the second half of the stance.
            near = contacts[:, None] + np.linspace(0.35, 0.8, 400) / rate
            model = at([play.person], near.ravel()).model[:, 0]
            behind = model[:, MODEL.index[f"{side}_big_toe"], 0] - model[:, MODEL.index["mid_hip"], 0]
            offs = near[np.arange(20), behind.reshape(20, 400).argmin(axis=1)]
            truth[f"{side}_off"] = offs[offs < begin + _WALK_S]
            heels = at([play.person], contacts).model[:, 0][:, [MODEL.index["left_heel"], MODEL.index["right_heel"]], 0]
            good = (contacts > truth["steady"][0]) & (contacts < truth["steady"][1])
            lengths.append(np.abs(np.subtract(*heels.T))[good])
        truth["step_length"] = np.median(np.concatenate(lengths))
        plays.append(play)
        truths.append(truth)
    return plays, truths


def gait() -> None:
    """Print table 3."""
    events = "".join(f"{kind:>9}{'told':>6}{'false':>7}{'ms':>8}{'90 %':>8}" for kind in ("contacts", "offs"))
    print(f"\n{'walking, 4 people':<55}{events} {'cadence %':>11}{'length %':>10}{'speed %':>9}{'lost':>6}")
    ways = [(f"metres, {title}", tuple(CAMERAS), "points", trouble) for title, trouble in TROUBLES.items()]
    ways += [("shape without a place, 30 Hz", tuple(CAMERAS), "local_points", Trouble())]
    ways += [(f"image, {camera}, 30 Hz", (camera,), "none", Trouble()) for camera in CAMERAS]
    for title, cameras, space, trouble in ways:
        found = {kind: [0, 0, 0] for kind in ("contact", "off")}
        errors: dict[str, list[float]] = {name: [] for name in ("contact", "off", "cadence", "step_length", "speed")}
        moments = lost = 0
        for camera in cameras:
            plays, truths = walking()
            actions = told("gait", plays, camera, space, trouble, seed=len(camera))
            for row, truth in enumerate(truths):
                own = [(when, a) for when, a in actions if a.id == row + 1]
                for kind in found:
                    match(kind, [a for _, a in own], truth, found[kind], errors[kind])
                # From when the window holds three steps to the end.
                after = truth["steady"][0] + 2.5, truth["steady"][1]
                going = {when: a for when, a in own
                         if a.name == "walking" and a.phase != Phase.ENDED and after[0] < when < after[1]}
                expected = int((after[1] - after[0]) * trouble.rate_hz * (1 - trouble.dropped))
                moments, lost = moments + expected, lost + max(0, expected - len(going))
                for name in ("cadence", "step_length", "speed"):
                    errors[name] += [100 * abs(a.values[name] / float(truth[name]) - 1) for a in going.values()
                                     if name in a.values]
        rates = [f"{np.median(errors[n]):.1f}" if errors[n] else "-" for n in ("cadence", "step_length", "speed")]
        cells = [f"{done:>9}{good:>6}{false:>7}{spread(errors[kind])}" for kind, (done, good, false) in found.items()]
        print(f"{title:<55}{''.join(cells)} {rates[0]:>11}{rates[1]:>10}{rates[2]:>9}{lost / moments:>6.0%}")


def match(kind: str, actions: Sequence[Action], truth: Mapping[str, np.ndarray], found: list[int], errors: list[float]
          ) -> None:  # fmt: skip
    """Count events of one kind that were done, told, and told wrongly: those farther than 150 ms from any that was."""
    for side, name in ((1, "left"), (2, "right")):
        times = truth[f"{name}_{kind}"]
        steady = (times > truth["steady"][0]) & (times < truth["steady"][1])
        met = set()
        for action in actions:
            if action.name == f"foot_{kind}" and action.side == side:
                apart = seconds(action.onset_ns) - times
                nearest = int(np.abs(apart).argmin())
                if nearest in met or abs(apart[nearest]) > 0.15:
                    # Where walking begins and ends feet do not go as far, and what they do is not known.
                    found[2] += bool(truth["steady"][0] < seconds(action.onset_ns) < truth["steady"][1])
                    continue
                met.add(nearest)
                if steady[nearest]:
                    errors.append(1e3 * float(apart[nearest]))
        found[0] += int(steady.sum())
        found[1] += sum(bool(steady[i]) for i in met)


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("exercises", "gait"))
    only = parser.parse_args().only
    if only != "gait":
        exercises()
    if only != "exercises":
        gait()


if __name__ == "__main__":
    main()
