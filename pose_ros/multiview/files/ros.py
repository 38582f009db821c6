# SPDX-License-Identifier: Apache-2.0
"""A folder as ROS has it: one ``camera_info`` YAML per camera, and the static transforms.

``<name>.yaml`` is what camera_calibration writes and camera_info_manager loads. ``static_transforms.yaml`` is a
``tf2_msgs/TFMessage`` in YAML: a transform takes points of ``child_frame_id`` (the optical frame of a camera, REP-103)
to ``frame_id``, metres. ``static_transforms.launch.xml`` publishes the same by tf2_ros.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pose_ros.core import documents, quaternion
from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError
from pose_ros.media.calibration import read_calibration
from pose_ros.multiview.files.fields import Fields, Found
from pose_ros.multiview.rig import Rig

TRANSFORMS = "static_transforms.yaml"
_LAUNCH = "static_transforms.launch.xml"
#: Frame that a camera's images are in.
OPTICAL = "{name}_optical_frame"
#: Where the images of a camera may be said to be, the first that there is.
_FRAMES = (OPTICAL, "{name}_optical", "{name}_color_optical_frame", "{name}")


def is_camera_info(data: Any) -> bool:
    """Whether YAML is what camera_calibration writes."""
    return isinstance(data, dict) and isinstance(data.get("camera_matrix"), dict) and "distortion_model" in data


def read(paths: Mapping[Path, Any], transforms: Path | None) -> tuple[list[Found], str]:
    """Read cameras and their transforms.

    Args:
        paths: Files of cameras, with their YAML.
        transforms: File of transforms, where there is one.

    Returns:
        The cameras, and the frame that they stand in; empty without transforms.
    """
    named = {str(data.get("camera_name") or path.stem): read_calibration(path) for path, data in paths.items()}
    if transforms is None:
        return [Found(name, camera) for name, camera in named.items()], ""
    tree = _tree(transforms)
    found, roots = [], set()
    for name, camera in named.items():
        frame = next((f for f in (pattern.format(name=name) for pattern in _FRAMES) if f in tree), "")
        if not frame:
            raise ConfigError(str(transforms), f"expected a transform whose child_frame_id is "
                                               f"{' or '.join(p.format(name=name) for p in _FRAMES)}; it has those of "
                                               f"{', '.join(tree) or 'nothing'}")
        rotation, centre, root = _to_root(tree, frame, transforms)
        roots.add(root)
        found.append(Found(name, camera, rotation.T, -rotation.T @ centre))
    if len(roots) > 1:
        raise ConfigError(str(transforms), f"expected all cameras in one frame, got {', '.join(sorted(roots))}")
    return found, roots.pop()


def write(rig: Rig, folder: Path, optical: str = OPTICAL) -> list[Path]:
    """Write a folder; returns its files.

    Args:
        rig: The cameras.
        folder: Made if it is not there.
        optical: Name of the frame of the camera ``{name}``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for posed in rig:
        files.append(folder / f"{posed.name}.yaml")
        files[-1].write_text(camera_info(posed.name, posed.camera), encoding="utf-8")
    transforms, nodes = [], []
    for posed in rig:
        centre, turn = posed.centre.tolist(), quaternion.from_matrices(posed.rotation.T).tolist()
        child = optical.format(name=posed.name)
        xyz, xyzw = dict(zip("xyz", centre, strict=True)), dict(zip("xyzw", turn, strict=True))
        transforms.append({"header": {"frame_id": rig.frame_id}, "child_frame_id": child,
                           "transform": {"translation": xyz, "rotation": xyzw}})  # fmt: skip
        numbers = {**xyz, **{f"q{axis}": value for axis, value in xyzw.items()}}
        words = " ".join(f"--{key} {value:.9f}" for key, value in numbers.items())
        nodes.append(f'  <node pkg="tf2_ros" exec="static_transform_publisher" name="{posed.name}_transform"\n'
                     f'        args="{words} --frame-id {rig.frame_id} --child-frame-id {child}"/>')
    files += [folder / TRANSFORMS, folder / _LAUNCH]
    files[-2].write_text(yaml.safe_dump({"transforms": transforms}, sort_keys=False), encoding="utf-8")
    files[-1].write_text("\n".join(["<launch>", *nodes, "</launch>", ""]), encoding="utf-8")
    return files


def camera_info(name: str, camera: Camera) -> str:
    """Return the YAML of one camera, as camera_calibration writes it."""
    d = camera.D.tolist() or [0.0] * 5
    p = np.column_stack([camera.K, np.zeros(3)])

    def matrix(values: np.ndarray) -> dict[str, Any]:
        return {"rows": values.shape[0], "cols": values.shape[1], "data": values.ravel().tolist()}

    data = {
        "image_width": int(camera.size_wh[0]),
        "image_height": int(camera.size_wh[1]),
        "camera_name": name,
        "camera_matrix": matrix(camera.K),
        "distortion_model": camera.model or "plumb_bob",
        "distortion_coefficients": matrix(np.array([d])),
        "rectification_matrix": matrix(np.eye(3)),
        "projection_matrix": matrix(p),
    }
    return yaml.safe_dump(data, sort_keys=False, default_flow_style=None)


def _tree(path: Path) -> dict[str, tuple[str, np.ndarray, np.ndarray]]:
    """Return parent, rotation and place of every child frame."""
    try:
        data = Fields(documents.load(path.read_text(encoding="utf-8")), str(path))
    except (OSError, yaml.YAMLError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}") from error
    listed = data.data.get("transforms")
    if not isinstance(listed, list):
        raise ConfigError(f"{path}: transforms", "expected a list, as `ros2 topic echo /tf_static` prints it")
    tree = {}
    for number, item in enumerate(listed):
        one = Fields(item, f"{path}: transforms[{number}]")
        transform, parent = one.at("transform"), str(one.at("header").data.get("frame_id", ""))
        xyz = np.array([transform.at("translation").number(axis) for axis in "xyz"])
        turn = np.array([transform.at("rotation").number(axis) for axis in "xyzw"])
        if abs(np.linalg.norm(turn) - 1) > 1e-3:
            raise ConfigError(f"{one.where}: rotation", f"expected a quaternion of length 1, got {turn.tolist()}")
        matrix = quaternion.to_matrices(turn / np.linalg.norm(turn))
        tree[str(one.data.get("child_frame_id", ""))] = parent, matrix, xyz
    return tree


def _to_root(tree: Mapping[str, Any], frame: str, path: Path) -> tuple[np.ndarray, np.ndarray, str]:
    """Return rotation and place of a frame in the frame that has no parent."""
    rotation, place, passed = np.eye(3), np.zeros(3), [frame]
    while frame in tree:
        frame, turn, shift = tree[frame]
        if frame in passed:
            raise ConfigError(str(path), f"expected a tree, got the circle {' -> '.join([*passed, frame])}")
        passed.append(frame)
        rotation, place = turn @ rotation, turn @ place + shift
    return rotation, place, frame
