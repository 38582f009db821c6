# SPDX-License-Identifier: Apache-2.0
"""``pose-ros doctor``: what is installed here, what really works, what is missing and how to get it."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pose_ros
from pose_ros.cli import console
from pose_ros.cli.leftovers import leftovers, size

_OK, _MISSING = 0, 3
#: Package that is imported -> (name on PyPI, what it is for, whether nothing works without).
_PACKAGES = {
    "numpy": ("numpy", "all arithmetic", True),
    "yaml": ("pyyaml", "cards and configurations", True),
    "cv2": ("opencv-python-headless", "reading, warping and drawing images", True),
    "rich": ("rich", "tables and progress bars", False),
    "rosbags": ("rosbags", "reading and recording bags", False),
    "matplotlib": ("matplotlib", "plots of trajectories", False),
    "onnx": ("onnx", "turning checkpoints into ONNX files", False),
    "skimage": ("scikit-image", "the photograph of the demonstration", False),
    "safetensors": ("safetensors", "checkpoints in .safetensors files", False),
}
#: Interface package -> whether the nodes cannot do without.
_INTERFACES = {
    "sensor_msgs": True, "std_srvs": True, "visualization_msgs": True, "diagnostic_msgs": True, "tf2_msgs": True,
    "vision_msgs": False, "hri_msgs": False,
}
_GET_ROS = "source /opt/ros/<distro>/setup.bash, or without ROS 2 installed: pip install -r requirements/ros.txt"
_GET_MESSAGES = "make build (colcon build in a workspace), then source its setup file"

_EPILOG = """\
Every line says whether a thing is there (ok), wanted and absent (missing), or only needed for some features (optional).

examples:
  pose-ros doctor
  pose-ros doctor --live                     what runs, and what is wrong with it
  pose-ros doctor --json | jq -r '.[] | select(.state == "missing") | .fix'

"""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    part: str
    name: str
    #: ``ok``, ``missing`` (needed) or ``optional`` (absent, and only some features need it).
    state: str
    detail: str = ""
    #: How to get what is not there.
    fix: str = ""


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "doctor",
        parents=[common],
        help="what is installed here, what works, what is missing and how to get it",
        description="Say what is installed here, which runtimes and devices really work, and how to get the rest. "
        "Ends with 0 when everything needed is here, else with 3.",
        epilog=_EPILOG + exit_codes,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--live", action="store_true", help="join the running ROS 2 system instead, say which node "
                        "feeds which and what is wrong; ends with 0 when nothing is, else with 1")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long --live listens (default: %(default)s)")
    parser.set_defaults(handler=handle)


def handle(args: argparse.Namespace) -> int:
    """Run the command."""
    if args.live:
        from pose_ros.cli import examine

        return examine.handle(args.seconds, args.json)
    found = [*_system(), *_packages(), *_runtimes(), *_ros(), *_models(), *_cameras()]
    missing = [f for f in found if f.state == "missing"]
    if args.json:
        console.show_json([asdict(f) for f in found])
    else:
        rows = [[f.part, f.name, f.state, f.detail] for f in found]
        fixes = [f"  {f.name}: {f.fix}" for f in found if f.state != "ok" and f.fix]
        advice = "\n".join(["to get what is not here:", *fixes]) if fixes else "nothing is missing"
        console.show(console.Table(["part", "name", "state", "detail"], rows), advice)
    return _MISSING if missing else _OK


def _system() -> Iterator[Finding]:
    yield Finding("system", "pose_ros", "ok", f"{pose_ros.__version__} from {Path(pose_ros.__file__).parent}")
    yield Finding("system", "python", "ok", f"{platform.python_version()} ({platform.machine()})")
    yield Finding("system", "os", "ok", _os())


def _os() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.platform()


def _packages() -> Iterator[Finding]:
    for module, (name, purpose, needed) in _PACKAGES.items():
        try:
            found = importlib.import_module(module)
        except Exception as error:  # a broken native library may raise anything
            gone = isinstance(error, ModuleNotFoundError)
            why = f"for {purpose}" if gone else f"does not load: {type(error).__name__}: {error}"
            yield Finding("python", name, "missing" if needed else "optional", why, f"pip install {name}")
        else:
            version = getattr(found, "__version__", None) or _version(name)
            yield Finding("python", name, "ok", str(version))


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "version unknown"


def _runtimes() -> Iterator[Finding]:
    from pose_ros.runtime import available

    infos = available()
    any_works = any(info.version for info in infos)
    for info in infos:
        if info.version:
            detail = f"{info.version}; devices {', '.join(info.devices)}; reads {' '.join(info.formats)}"
            yield Finding("runtime", info.runtime, "ok", detail)
            if info.missing:
                yield Finding("runtime", f"{info.runtime} gpu", "optional", *info.missing.partition(": ")[::2])
        else:
            what, _, fix = info.missing.rpartition(": ")
            yield Finding("runtime", info.runtime, "optional" if any_works else "missing", what, fix)


def _ros() -> Iterator[Finding]:
    try:
        rclpy = importlib.import_module("rclpy")
        rmw = rclpy.utilities.get_rmw_implementation_identifier()
    except Exception as error:  # rclpy without its shared libraries raises ImportError, and rmw anything
        why = "not installed" if isinstance(error, ModuleNotFoundError) else f"does not load: {error}"
        yield Finding("ros", "rclpy", "missing", why, _GET_ROS)
        return
    distro = os.environ.get("ROS_DISTRO") or "from PyPI, ROS_DISTRO is not set"
    yield Finding("ros", "rclpy", "ok", f"{_version('ros-rclpy')}; {distro}; {rmw}")
    reach = os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "not set: the whole network (`up` sets LOCALHOST)")
    yield Finding("ros", "domain", "ok", f"ROS_DOMAIN_ID {os.environ.get('ROS_DOMAIN_ID', '0')}; discovery {reach}")
    yield _shared_memory()
    yield _import("pose_ros.msg", True, "the messages of this package", _GET_MESSAGES)
    for package, needed in _INTERFACES.items():
        fix = f"apt install ros-$ROS_DISTRO-{package.replace('_', '-')}, or without ROS 2 installed: make build"
        yield _import(f"{package}.{'srv' if package == 'std_srvs' else 'msg'}", needed, "", fix)


def _shared_memory() -> Finding:
    found = leftovers()
    if not found:
        return Finding("ros", "shared memory", "ok", "nothing left behind by killed processes")
    detail = f"{size(found) / 1e6:.1f} MB in {len(found)} files of processes that were killed"
    return Finding("ros", "shared memory", "optional", detail, "fastdds shm clean, or any run of pose-ros up")


def _import(module: str, needed: bool, purpose: str, fix: str) -> Finding:
    try:
        importlib.import_module(module)
    except Exception as error:  # typesupport libraries that do not fit raise their own errors
        why = "not built" if isinstance(error, ModuleNotFoundError) else f"does not load: {error}"
        return Finding("ros", module, "missing" if needed else "optional", why, fix)
    return Finding("ros", module, "ok", purpose)


def _models() -> Iterator[Finding]:
    from pose_ros.models.store import Store

    store = Store()
    yield _writable(store.folder)
    for name in store.names():
        state = store.state(store.card(name))
        if state == "ready":
            yield Finding("model", name, "ok", str(store.place(store.card(name))))
        else:
            yield Finding("model", name, "optional", state, f"pose-ros models fetch {name}")


def _writable(folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        fix = "set POSE_ROS_CACHE to a folder of yours"
        return Finding("model", "cache", "missing", f"{folder}: {error.strerror}", fix)
    return Finding("model", "cache", "ok", str(folder))


def _cameras() -> Iterator[Finding]:
    found = sorted(Path("/dev").glob("video*"))
    for device in found:
        if os.access(device, os.R_OK | os.W_OK):
            yield Finding("camera", str(device), "ok")
        else:
            fix = "sudo usermod -aG video $USER, then log in again"
            yield Finding("camera", str(device), "optional", "not permitted", fix)
    if not found:
        yield Finding("camera", "webcam", "optional", "no /dev/video*; videos, folders, streams and bags work without")
