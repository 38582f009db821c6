# SPDX-License-Identifier: Apache-2.0
"""The machine that figures belong to, and how much of it others used meanwhile."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pose_ros

#: Whose versions figures depend on; what is not here is left out.
_DISTRIBUTIONS = (
    "numpy", "opencv-python-headless", "opencv-python", "openvino", "onnxruntime", "onnxruntime-gpu", "ai-edge-litert",
    "torch", "ros-rclpy", "rosbags",
)  # fmt: skip
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
#: More than this part of the machine used by others makes figures doubtful.
_BUSY = 0.1


def machine() -> dict[str, Any]:
    """Return what the machine is; None for what the system does not tell."""
    governor = _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip()
    model = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", _text("/proc/cpuinfo"), re.MULTILINE)
    memory = re.search(r"MemTotal:\s*(\d+)", _text("/proc/meminfo"))
    gpus = [found[1].strip() for file in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
            if (found := re.search(r"Model:\s*(.+)", _text(file)))]  # fmt: skip
    return {
        "cpu": model[1] if model else platform.processor() or platform.machine(), "cores": os.cpu_count(),
        "usable_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        "governor": governor or None, "memory_gb": round(int(memory[1]) / 1e6, 1) if memory else None, "gpus": gpus,
        "system": platform.platform(),
    }  # fmt: skip


def versions() -> dict[str, str]:
    """Return versions of what figures depend on; of a checkout also its commit."""
    found = {"pose_ros": pose_ros.__version__, "python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    named = {"ros": "ROS_DISTRO", "rmw": "RMW_IMPLEMENTATION"}
    found |= {name: os.environ[variable] for name, variable in named.items() if os.environ.get(variable)}
    root = Path(pose_ros.__file__).resolve().parents[1]
    if (root / ".git").exists():
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        found |= {"commit": said} if said else {}
    return found


class Others:
    """How much of all processors is used by others than this process and its children, from its making on."""

    def __init__(self) -> None:
        """Begin."""
        self._began, self._busy_s = time.monotonic(), _busy_s()
        self._own_s, self.load = sum(os.times()[:4]), os.getloadavg()[0]

    def remarks(self) -> list[str]:
        """Return what is to be said beside the figures; all processes that were started have been waited for."""
        cores = os.cpu_count() or 1
        own = sum(os.times()[:4]) - self._own_s
        share = max(_busy_s() - self._busy_s - own, 0.0) / max((time.monotonic() - self._began) * cores, 1e-9)
        if not self._busy_s:
            return [f"how much others used is not known here; load before {self.load:.1f}"]
        text = f"others used {100 * share:.0f} % of the {cores} processors; load before {self.load:.1f}"
        return [f"busy machine: {text}"] if share > _BUSY else [text]


def _busy_s() -> float:
    """Return the time that all processors have worked; 0 where nobody says."""
    fields = _text("/proc/stat").partition("\n")[0].split()[1:]
    # user, nice, system, (idle, iowait,) irq, softirq, steal: the time of guests is in that of users.
    return _TICK_S * sum(int(value) for i, value in enumerate(fields[:8]) if i not in (3, 4))


def _text(path: str | Path) -> str:
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return the keys in which two mappings differ, and what each says; None for nothing."""
    return [(key, a.get(key), b.get(key)) for key in sorted({*a, *b}) if a.get(key) != b.get(key)]
