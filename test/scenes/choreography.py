# SPDX-License-Identifier: Apache-2.0
"""People who do things: what they do and when is known.

    from scenes.choreography import Do, clip, perform, seen

    play = perform(Do("stand", 1), Do("wave", 2, side="right"), Do("stand", 1), Do("fall", 3))
    play.truth                                    # (Deed("standing", ...), Deed("waving", 1.4, 3.4, side=RIGHT), ...)
    play.seconds                                  # length of it all
    play.at(2.0)                                  # {"standing", "waving"}
    clip([play], 3.0, takes="coco17", steps=31, step_s=0.1)      # recognisers.base.Clip that ends at that time
    for stamp_ns, poses in seen([play], rate_hz=30): ...         # images, as a pose node says them
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pose_ros.core.poses import LEFT, RIGHT, Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.multiview.rig import PosedCamera
from pose_ros.recognisers.base import Clip
from pose_ros.recognisers.window import Window
from pose_ros.skeletons import catalogue
from scenes import body, hands
from scenes.cameras import posed
from scenes.observing import EPOCH_NS
from scenes.people import _STRIDE, Person, at, gait

#: Of every pose, unless it says else.
_STANDING = {"*_shoulder_abduction": 6, "*_elbow_flexion": 12}
#: How far the hips move to the front, in parts of the height, beside the angles.
_FORWARD = "forward"
#: Pose -> angles in degrees that differ from standing; ``*`` is both sides, ``@`` the side that does it.
POSES: Mapping[str, Mapping[str, float]] = {
    "stand": {},
    "sit": {"*_hip_flexion": 88, "*_knee_flexion": 88, "trunk_flexion": 4, "*_shoulder_flexion": 22,
            "*_elbow_flexion": 55, _FORWARD: -0.2},
    "squat": {"*_hip_flexion": 115, "*_knee_flexion": 120, "*_ankle_dorsiflexion": 25, "pelvis_tilt": 12,
              "trunk_flexion": 25, "*_shoulder_flexion": 75, _FORWARD: -0.08},
    "bend": {"pelvis_tilt": 35, "trunk_flexion": 55, "*_hip_flexion": 35, "*_shoulder_flexion": 80,
             _FORWARD: -0.06},
    "lie": {"pelvis_tilt": -90, _FORWARD: -0.45, "*_ankle_dorsiflexion": -25},
    "lie_prone": {"pelvis_tilt": 90, _FORWARD: 0.45, "*_ankle_dorsiflexion": -60},
    "lie_side": {"pelvis_list": 88, "*_hip_flexion": 25, "*_knee_flexion": 35, "*_shoulder_flexion": 40},
    "wave": {"@_shoulder_abduction": 80, "@_shoulder_rotation": -90, "@_elbow_flexion": 95},
    "raise": {"@_shoulder_abduction": 165, "@_elbow_flexion": 10},
    "raise_front": {"@_shoulder_flexion": 165, "@_elbow_flexion": 10},
    "point": {"@_shoulder_flexion": 88, "@_shoulder_abduction": 12, "@_elbow_flexion": 2},
    "plank": {"pelvis_tilt": 72, "*_shoulder_flexion": 72, "*_elbow_flexion": 4, "*_ankle_dorsiflexion": 15},
    "push_up": {"pelvis_tilt": 84, "*_shoulder_flexion": 25, "*_shoulder_abduction": 40, "*_elbow_flexion": 105,
                "*_ankle_dorsiflexion": 5},
    "lie_bent": {"pelvis_tilt": -90, "*_hip_flexion": 45, "*_knee_flexion": 90, "*_elbow_flexion": 90, _FORWARD: -0.4},
    "sit_up": {"pelvis_tilt": -25, "trunk_flexion": 20, "*_hip_flexion": 110, "*_knee_flexion": 90,
               "*_elbow_flexion": 90, _FORWARD: -0.4},
    "jumping_jack": {"*_shoulder_abduction": 165, "*_hip_abduction": 22},
    "lunge": {"left_hip_flexion": 80, "left_knee_flexion": 90, "right_hip_flexion": -10, "right_knee_flexion": 85,
              "right_ankle_dorsiflexion": 20, "trunk_flexion": 4},
}  # fmt: skip
#: What is done again and again -> name of one time, pose between, farthest pose, and time to there, seconds.
REPEATED = {
    "squats": ("squat", "stand", "squat", 0.9), "push_ups": ("push_up", "plank", "push_up", 0.8),
    "sit_ups": ("sit_up", "lie_bent", "sit_up", 1.2), "lunges": ("lunge", "stand", "lunge", 1.0),
    "jumping_jacks": ("jumping_jack", "stand", "jumping_jack", 0.5), "arm_raises": ("arm_raise", "stand", "raise", 0.8),
}  # fmt: skip
#: What a fall ends in.
_FALLS = {"fall": "lie", "fall_forward": "lie_prone"}
#: How long the way to a pose takes, seconds; to all others _RAMP_S.
_RAMPS_S = {"fall": 0.7, "fall_forward": 0.7, "lie": 2.5, "lie_prone": 2.5, "lie_side": 2.5, "sit": 1.2, "squat": 0.9}
_RAMP_S = 0.8
#: Pose -> how people who are in it stand or lie; in all others they stand.
POSTURES = {"sit": "sitting", "squat": "squatting", "bend": "bending", "lie": "lying", "lie_prone": "lying",
            "lie_side": "lying", "plank": "lying", "push_up": "lying", "lie_bent": "lying",
            "sit_up": "sitting"}  # fmt: skip
#: Pose -> what one side does in it.
GESTURES = {"wave": ("waving", "hand_raised"), "raise": ("hand_raised",), "raise_front": ("hand_raised",),
            "point": ("pointing",)}  # fmt: skip
_SIDES = {"left": LEFT, "right": RIGHT}


@dataclass(frozen=True)
class Do:
    """One thing to do: a pose of POSES, one of REPEATED, ``walk`` or a fall."""

    what: str
    #: How long, after the way to it.
    seconds: float = 2.0
    side: str = "right"
    #: How long the way to it takes; None: as long as usual.
    ramp_s: float | None = None
    #: Of waves, per second.
    rate_hz: float = 1.6
    #: Half of the angle through which a wave swings, degrees.
    swing: float = 28.0
    #: Of what is repeated: how often, and the time to the farthest pose, and back; None: as long as usual.
    times: int = 3
    half_s: float | None = None
    #: Of walking.
    speed_mps: float = 1.1
    #: Other angles in degrees.
    angles: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Deed:
    """What was done, and when: from the middle of the way there to the middle of the way on."""

    name: str
    onset_s: float
    end_s: float
    #: LEFT, RIGHT or 0.
    side: int = 0
    #: Whether it is over when it is told: falls and repetitions, from where the movement begins to where it ends.
    event: bool = False


@dataclass(frozen=True, eq=False)
class Performer(Person):
    """A person of whom any part may touch the floor."""

    def _hips(self, angles: Mapping[str, np.ndarray], times_s: np.ndarray) -> np.ndarray:
        points, _ = body.forward(1.0, angles, np.zeros((len(times_s), 3)), np.zeros(len(times_s)))
        return self.height_m * (0.02 - points[:, :, 2].min(axis=1))


@dataclass(frozen=True, eq=False)
class Play:
    """A person, and what that person does."""

    person: Person
    truth: tuple[Deed, ...]
    seconds: float

    def at(self, time_s: float) -> set[str]:
        """Return the names of all that is done at a time."""
        return {deed.name for deed in self.truth if deed.onset_s <= time_s < deed.end_s}


def _key(pose: str, side: str, more: Mapping[str, float]) -> dict[str, float]:
    angles: dict[str, float] = {}
    for name, value in {**_STANDING, **POSES[pose], **more}.items():
        for full in [name.replace("*", s) for s in _SIDES] if "*" in name else [name.replace("@", side)]:
            angles[full] = value
    return angles


def perform(
    *script: Do, height_m: float = 1.75, place: Sequence[float] = (0.0, 0.0), yaw: float = 0.0
) -> Play:
    """Return somebody who does one thing after the other, having stood before.

    Args:
        script: What to do.
        height_m: Of the person.
        place: (x, y) metres in the world.
        yaw: Where the person looks, radians about z; 0 is along x.
    """
    times, keys = [0.0], [_key("stand", "right", {})]
    more: list[Callable[[np.ndarray, dict[str, np.ndarray]], None]] = []
    walks: list[tuple[float, float, float]] = []
    deeds: list[Deed] = []
    #: What is done on end, and with which side -> since when.
    held = {("standing", 0): 0.0}

    def then(at_s: float, key: dict[str, float]) -> None:
        times.append(at_s)
        keys.append(key)

    def change(at_s: float, *now: tuple[str, int]) -> None:
        for (name, side), since in list(held.items()):
            if (name, side) not in now:
                deeds.append(Deed(name, since, at_s, side))
                del held[name, side]
        for one in now:
            held.setdefault(one, at_s)

    for do in script:
        now = times[-1]
        single = ("", "stand" if do.what == "walk" else do.what, "", 0.0)
        again, between, far, usual_half = REPEATED.get(do.what, single)
        pose = _FALLS.get(do.what, between)
        usual = 0.0 if now == 0.0 else _RAMPS_S.get(do.what, _RAMP_S)
        begin = now + (usual if do.ramp_s is None else do.ramp_s)
        key = _key(pose, do.side, {} if again else do.angles)
        gestures = [(name, _SIDES[do.side]) for name in GESTURES.get(pose, ())]
        change((now + begin) / 2, (POSTURES.get(pose, "standing"), 0), *gestures)
        then(begin, key)
        end = begin + do.seconds
        if do.what in _FALLS:
            deeds.append(Deed("fall", now, begin, event=True))
        if do.what == "wave":
            more.append(_waves(begin, end, do))
        if do.what == "walk":
            walks.append((begin, end, do.speed_mps))
            more.append(_walks(begin, end, do.speed_mps / (_STRIDE * height_m)))
            deeds.append(Deed("walking", begin, end))
        if again:
            half = usual_half if do.half_s is None else do.half_s
            side = _SIDES[do.side] if any("@" in name for name in POSES[far]) else 0
            held_far = [(name, _SIDES[do.side]) for name in GESTURES.get(far, ())]
            for i in range(do.times):
                out = begin + 2 * half * i
                change(out + half / 2, (POSTURES.get(far, "standing"), 0), *held_far)
                change(out + 3 * half / 2, (POSTURES.get(between, "standing"), 0))
                then(out + half, _key(far, do.side, do.angles))
                then(out + 2 * half, key)
                deeds.append(Deed(again, out, out + 2 * half, side, event=True))
            end = times[-1] + do.seconds
        then(end, key)
    change(times[-1])
    deeds = [deed for deed in deeds if deed.end_s > deed.onset_s]
    knots = np.array(times)
    names = sorted({name for key in keys for name in key})
    values = np.array([[key.get(name, 0.0) for name in names] for key in keys])

    def all_angles(t: np.ndarray) -> dict[str, np.ndarray]:
        i = np.clip(np.searchsorted(knots, t, side="right") - 1, 0, len(knots) - 2)
        part = np.clip((t - knots[i]) / np.maximum(knots[i + 1] - knots[i], 1e-9), 0, 1)
        part = (part * part * (3 - 2 * part))[:, None]
        found = values[i] * (1 - part) + values[i + 1] * part
        out = {name: np.radians(found[:, j]) for j, name in enumerate(names)}
        out[_FORWARD] = np.degrees(out.get(_FORWARD, np.zeros(len(t))))
        for change in more:
            change(t, out)
        return out

    def moves(t: np.ndarray) -> dict[str, np.ndarray]:
        return {name: value for name, value in all_angles(t).items() if name != _FORWARD}

    def path(t: np.ndarray) -> np.ndarray:
        ahead = height_m * all_angles(t)[_FORWARD]
        for begin, end, speed in walks:
            ahead = ahead + speed * np.clip(t - begin, 0, end - begin)
        x, y = place[0] + ahead * np.cos(yaw), place[1] + ahead * np.sin(yaw)
        return np.column_stack([x, y, np.full(len(t), yaw)])

    # One metre per second: what is handed to the path is the time.
    person = Performer(path, height_m, speed_mps=1.0, gait=0.0, moves=moves)
    return Play(person, tuple(sorted(deeds, key=lambda d: d.onset_s)), times[-1])


def _waves(begin: float, end: float, do: Do) -> Callable[[np.ndarray, dict[str, np.ndarray]], None]:
    def change(t: np.ndarray, angles: dict[str, np.ndarray]) -> None:
        swing = np.radians(do.swing) * np.sin(2 * np.pi * do.rate_hz * (t - begin)) * ((t >= begin) & (t <= end))
        name = f"{do.side}_elbow_flexion"
        angles[name] = angles[name] + swing

    return change


def _walks(begin: float, end: float, rate_hz: float) -> Callable[[np.ndarray, dict[str, np.ndarray]], None]:
    def change(t: np.ndarray, angles: dict[str, np.ndarray]) -> None:
        amount = np.clip(np.minimum(t - begin, end - t) / 0.4, 0, 1)
        for name, value in gait(rate_hz * (t - begin)).items():
            angles[name] = angles.get(name, 0) * (1 - amount) + value * amount

    return change


#: Points of body.MODEL that are those of hand21.
_HAND = [body.MODEL.index[f"right_hand/{name}"] for name in hands.NAMES]
#: Looks at whoever stands near the origin, from the front of those with yaw 0.
FRONT = posed("front", (4.0, 0.0, 1.3), (0.0, 0.0, 0.9))


def seen(
    plays: Sequence[Play],
    camera: PosedCamera = FRONT,
    skeleton: Skeleton | str = "coco17",
    *,
    rate_hz: float = 30.0,
    until_s: float | None = None,
    since_s: float = 0.0,
    space: str = "points",
    sigma_px: float = 1.0,
    sigma_m: float = 0.01,
    score: float = 0.9,
    seed: int = 0,
) -> Iterator[tuple[int, Poses]]:
    """Yield (stamp, poses with ids 1 .. N) of each image; the same arguments give the same numbers.

    Args:
        plays: Who is there.
        camera: Which looks.
        skeleton: Of the poses; ``hand21`` are right hands.
        rate_hz: Of the images.
        until_s: End; that of the longest play when left out.
        since_s: Beginning.
        space: ``points`` in the frame of the camera; ``local_points``, which have no place; ``none``: pixels only.
        sigma_px: Noise of pixels.
        sigma_m: Noise of points, metres.
        score: Of all keypoints.
        seed: Of the noise.
    """
    kind = catalogue.get(skeleton) if isinstance(skeleton, str) else skeleton
    rng = np.random.default_rng(seed)
    end = max(play.seconds for play in plays) if until_s is None else until_s
    # The last image is taken at the end.
    times = end - np.arange(int((end - since_s) * rate_hz + 1e-6) + 1)[::-1] / rate_hz
    truth = at([play.person for play in plays], times)
    everything = truth.model[:, :, _HAND] if kind.subject == "hand" else truth.points(kind)
    for time, points in zip(times, everything, strict=True):
        own = points @ camera.rotation.T + camera.translation
        pixels = camera.camera.project(own) + sigma_px * rng.standard_normal((*own.shape[:2], 2))
        own = own + sigma_m * rng.standard_normal(own.shape)
        scores = np.where(np.isfinite(pixels).all(axis=2), score, 0)
        hips = own[:, [kind.index[n] for n in ("left_hip", "right_hip") if n in kind.index] or [kind.root]].mean(axis=1)
        columns = {"points": own} if space == "points" else {"local_points": own - hips[:, None]}
        sides = np.full(len(own), RIGHT * (kind.subject == "hand"))
        yield EPOCH_NS + round(time * 1e9), Poses(
            kind, pixels, scores, ids=truth.ids, sides=sides, **({} if space == "none" else columns)
        )


def clip(
    plays: Sequence[Play],
    end_s: float,
    *,
    takes: Skeleton | str = "coco17",
    steps: int = 31,
    step_s: float = 0.1,
    camera: PosedCamera = FRONT,
    up_known: bool = True,
    **how: object,
) -> Clip:
    """Return a clip that ends at a time, cut out of what was :func:`seen`; ``how`` is for that."""
    kind = catalogue.get(takes) if isinstance(takes, str) else takes
    window = Window(kind, steps * step_s)
    begin = max(0.0, end_s - (steps - 1) * step_s - 0.1)
    place = (camera.rotation.T, camera.centre) if up_known else None
    for stamp, poses in seen(plays, camera, until_s=end_s, since_s=begin, **how):  # type: ignore[arg-type]
        window.put(poses, stamp, camera.camera.size_wh, place)
    return window.clip(steps, step_s)
