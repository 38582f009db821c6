# SPDX-License-Identifier: Apache-2.0
"""Whose stamps are late is told by what moves, and is not mixed up with who stands elsewhere than thought."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scenes import Faults, Person, crossing, observe, rig, stand, walker

from pose_ros.multiview.clocks import Late
from pose_ros.multiview.fuse import Fuser
from pose_ros.multiview.rig import PosedCamera, Rig

WHOLE, PLAIN = rig(5), Faults(1.0, sigma_size=0.006)
HARD = Faults(sigma_px=2, spread=0.4, outliers=0.05, swaps=0.02, misses=0.05, drops=0.05)


def looked(
    people: list[Person], late: Mapping[str, float], faults: Faults = PLAIN,
    believed: Rig = WHOLE, seconds: float = 3.0,
) -> Mapping[str, Late]:  # fmt: skip
    """Return what is thought of the clocks of cameras whose stamps are so late."""
    fuser, names = Fuser(), {camera.name for camera in believed}
    for shots in observe(people, WHOLE, faults=faults, seconds=seconds, seed=1).ticks():
        views = {
            shot.camera.name: (shot.stamp_ns + round(late.get(shot.camera.name, 0) * 1e9), shot.poses)
            for shot in shots if shot and shot.camera.name in names
        }  # fmt: skip
        stamps = [stamp for stamp, _ in views.values()]
        fuser(believed, views, (min(stamps) + max(stamps)) // 2)
    return fuser.late


def named(found: Mapping[str, Late]) -> list[str]:
    return [name for name, one in found.items() if one.sure]


@pytest.mark.parametrize(("late_s", "faults"), [(0.04, HARD), (-0.05, PLAIN)], ids=["late", "early"])
def test_who_is_late_is_named(late_s: float, faults: Faults) -> None:
    found = looked(crossing(3), {"camera1": late_s}, faults)
    assert found.keys() == {camera.name for camera in WHOLE}
    assert named(found) == ["camera1"]
    assert found["camera1"].seconds == pytest.approx(late_s, abs=0.008)
    assert max(abs(one.seconds) for name, one in found.items() if name != "camera1") < 0.003


@pytest.mark.parametrize(
    "faults", [
        HARD,
        Faults(1.0, sigma_size=0.006, offsets_s=(0, 0.01, 0.02, 0.03, 0.005), jitter_s=0.003),
    ], ids=["hard", "at other times, and saying so"],
)  # fmt: skip
def test_who_is_in_time_is_not_named(faults: Faults) -> None:
    found = looked(crossing(3), {}, faults)
    assert len(found) == 5
    assert named(found) == []


def test_a_camera_that_was_turned_is_not_late() -> None:
    angle = np.radians(0.6)
    turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    believed = Rig([
        PosedCamera(c.name, c.camera, turn @ c.rotation, turn @ c.translation) if c.name == "camera1" else c
        for c in WHOLE
    ])  # fmt: skip
    assert named(looked(walker(), {}, believed=believed)) == []


def test_nothing_is_said_where_nobody_moves_nor_of_two_cameras_nor_too_early() -> None:
    still = [Person(stand(), speed_mps=0.0, gait=0.0)]
    assert looked(still, {"camera1": 0.04}, seconds=1.5) == {}
    assert looked(crossing(3), {"camera1": 0.04}, believed=Rig(WHOLE.cameras[:2]), seconds=1.5) == {}
    assert looked(walker(), {"camera1": 0.04}, seconds=0.8) == {}
