# SPDX-License-Identifier: Apache-2.0
"""Synthetic scenes: walking bodies with known joints, the cameras around them, and what those make of it.

    from scenes import Faults, circling, crossing, observe, posed, rig, walker
    from scenes.depth import DepthFaults, render
    from scenes.people import at

    # Three people who cross, before four cameras of different lenses and resolutions; 4 s at 30 Hz.
    whole = rig(4, models=("plumb_bob", "equidistant"), sizes=((1280, 720), (640, 480)))
    faults = Faults(sigma_px=2, spread=0.4, outliers=0.02, drops=0.05, jitter_s=0.003, offsets_s=(0, 0.01, 0.02, 0.03))
    recording = observe(crossing(3), whole, "coco17", faults=faults, seed=1)
    for shots in recording.ticks():               # one Shot or None of each camera
        for shot in filter(None, shots):
            shot.poses, shot.stamp_ns             # what a network said, rows shuffled: core.poses.Poses
            shot.true_ids, shot.points            # who that is, where the joints are: (N, K, 3) metres in the world
    for shot in recording.of("camera2"): ...      # one camera in time order
    truth = recording.truth(shot.stamp_ns)        # everybody at any stamp: truth.points("h36m17") (T, N, 17, 3),
                                                  # .angles["left_knee_flexion"] (T, N) rad, .rotations["pelvis"],
                                                  # .lengths("coco17") {(a, b): (N,) m}, .ids, .heights_m
    # Depth, registered or with a colour camera elsewhere.
    camera = posed("depth", (3, 0, 1.2), size_wh=(320, 240))
    truth = at(walker(), [0.0, 0.5])
    image = render(truth, 1, camera, colour=None, faults=DepthFaults(noise_m=0.0015, holes=0.05, step_m=0.1))
    image.depth                                   # core.depth.Depth
    joint_m, surface_m, hidden = image.joints(truth.points("coco17")[1])      # (N, K): depths that are true
    # How good estimates are: error, coverage, id switches; stamps and Poses with points.
    from scenes.scoring import score
    print(score([(shot.stamp_ns, estimated), ...], recording.people))

World: z up, metres, floor at z = 0. Skeletons: any; what the model lacks is NaN. ``h36m17``, ``coco17``, ``halpe26``,
``mediapipe33`` and the hands of ``wholebody133`` are complete. The same arguments give the same numbers.
"""

from scenes.cameras import camera, look_at, posed, rig
from scenes.hands import hand
from scenes.observing import EPOCH_NS, Faults, Recording, Shot, observe
from scenes.people import Person, Truth, at, circle, circling, crossing, line, stand, walker

__all__ = [
    "EPOCH_NS", "Faults", "Person", "Recording", "Shot", "Truth", "at", "camera", "circle", "circling", "crossing",
    "hand", "line", "look_at", "observe", "posed", "rig", "stand", "walker",
]  # fmt: skip
