# SPDX-License-Identifier: Apache-2.0
"""Only memory whose owner is gone is swept away."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pose_ros.cli import leftovers

_ABANDONED, _OWNED, _YOUNG = (f"fastrtps_{c * 16}" for c in "abc")


def segment(folder: Path, name: str, age_s: float = 60.0) -> Path:
    (folder / name).write_bytes(bytes(8192))
    lock = folder / f"{name}_el"
    lock.touch()
    os.utime(lock, (time.time() - age_s,) * 2)
    return lock


def test_what_is_locked_or_young_or_not_a_segment_stays(tmp_path):
    segment(tmp_path, _ABANDONED)
    owned = segment(tmp_path, _OWNED)
    segment(tmp_path, _YOUNG, age_s=1.0)
    segment(tmp_path, "fastrtps_port7400")
    segment(tmp_path, "somebody_else")
    stay = {p.name for p in tmp_path.iterdir()} - {_ABANDONED, f"{_ABANDONED}_el"}
    with owned.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert leftovers.size(leftovers.leftovers(tmp_path)) >= 8192
        assert leftovers.sweep(tmp_path) == 1
        assert {p.name for p in tmp_path.iterdir()} == stay
    assert leftovers.sweep(tmp_path) == 1, "its owner has let go"


def test_files_of_others_stay(tmp_path, monkeypatch):
    segment(tmp_path, _ABANDONED)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert leftovers.sweep(tmp_path) == 0


def test_nothing_to_sweep(tmp_path):
    assert leftovers.sweep(tmp_path / "no such folder") == 0


def test_a_killed_process_of_fast_dds_is_recognized(monkeypatch):
    """The names and locks are those that Fast DDS really uses."""
    pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")
    if not Path("/dev/shm").is_dir():
        pytest.skip("this system has no /dev/shm")
    monkeypatch.setattr(leftovers, "_YOUNG_S", 0.0)
    code = ("import rclpy, time; rclpy.init(); n = rclpy.create_node('n'); "
            "print(rclpy.get_rmw_implementation_identifier(), flush=True); time.sleep(60)")
    # A domain of its own: it looks into what others share that it hears.
    alone = {**os.environ, "ROS_DOMAIN_ID": str(int(os.environ["ROS_DOMAIN_ID"]) + 100)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=alone) as process:
        try:
            if "fastrtps" not in process.stdout.readline():
                pytest.skip("the middleware is not Fast DDS")
            maps = Path(f"/proc/{process.pid}/maps").read_text()
            (mine,) = {w for w in maps.split() if leftovers._LOCK.fullmatch(f"{Path(w).name}_el")}
            assert Path(mine) not in leftovers.leftovers()
        finally:
            process.send_signal(signal.SIGKILL)
    assert Path(mine) in leftovers.leftovers()
    leftovers.sweep()
    assert not Path(mine).exists()
