# SPDX-License-Identifier: Apache-2.0
"""Files: rigs of cameras out of the files of many tools, told apart by what is in them, and into two of them.

=====================================================  ==============  =========================
format                                                 unit of length  image size in the file
=====================================================  ==============  =========================
folder of ROS ``camera_info`` YAML and transforms      m               yes
Caliscope, Pose2Sim ``.toml``                          m               yes
Anipose ``.toml``                                      not said: m     yes
Qualisys ``.qca.txt``                                  mm              yes
CMU Panoptic ``.json``                                 cm              yes
Shelf, Campus ``.json``                                mm              no
OpenCV ``.yml .yaml .xml``, one or a folder of them    not said: m     by some
=====================================================  ==============  =========================

``unit`` overrules the table. What is read is in metres.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import yaml

from pose_ros.core import documents
from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError
from pose_ros.multiview.files import anipose, opencv, panoptic, qualisys, ros
from pose_ros.multiview.files.fields import UNITS, Found, Given
from pose_ros.multiview.rig import PosedCamera, Rig

__all__ = ["UNITS", "read_cameras", "read_rig", "write_rig"]

#: Cameras farther from one another than this are a wrong unit.
_FARTHEST_M = 200.0


def read_rig(
    path: Path | str, *, unit: str = "", size_wh: tuple[int, int] | None = None, frame_id: str = ""
) -> Rig:
    """Read calibrated cameras and where they stand.

    Args:
        path: File or folder, see the table at the top.
        unit: ``m``, ``cm`` or ``mm``; empty for that of the format.
        size_wh: Pixels of the images, where the file does not say.
        frame_id: Name of the world; empty for that of the file, else ``world``.

    Raises:
        ConfigError: It cannot be read; names file and key, what was expected and what came.
    """
    found, said = _read(Path(path).expanduser(), Given(unit, size_wh))
    unplaced = [one.name for one in found if one.rotation is None or one.translation is None]
    if unplaced:
        raise ConfigError(str(path), f"says how cameras see, but not where they stand: {', '.join(unplaced)}; expected "
                                     "a rotation and a translation of each")
    try:
        posed = [PosedCamera(one.name, one.camera, one.rotation, one.translation) for one in found]  # type: ignore[arg-type]
        rig = Rig(posed, frame_id or said or "world")
    except ConfigError as error:
        raise ConfigError(str(path), str(error)) from error
    centres = np.array([camera.centre for camera in rig])
    apart = float(np.linalg.norm(centres[:, None] - centres, axis=2).max())
    if apart > _FARTHEST_M:
        raise ConfigError(str(path), f"cameras are {apart:.0f} m apart, expected at most {_FARTHEST_M:.0f} m; is the "
                                     "file in another unit? give it, such as --unit mm")
    return rig


def read_cameras(path: Path | str, *, size_wh: tuple[int, int] | None = None) -> dict[str, Camera]:
    """Read how cameras see, by name; where they stand does not matter.

    Raises:
        ConfigError: As :func:`read_rig`.
    """
    found, _ = _read(Path(path).expanduser(), Given("", size_wh))
    return {one.name: one.camera for one in found}


def write_rig(rig: Rig, path: Path | str, optical: str = ros.OPTICAL) -> list[Path]:
    """Write a ``.toml`` of Anipose's kind, or a folder of ROS's kind where the name has no suffix; returns the files.

    Args:
        rig: The cameras.
        path: Where to.
        optical: Name of the optical frame of the camera ``{name}``, for ROS.

    Raises:
        ConfigError: It has another suffix.
    """
    path = Path(path).expanduser()
    if path.suffix == ".toml":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(anipose.write(rig), encoding="utf-8")
        return [path]
    if path.suffix and not path.is_dir():
        raise ConfigError(str(path), "expected a name that ends in .toml, or that of a folder for camera_info YAML and "
                                     f"static transforms; got '{path.suffix}'")
    return ros.write(rig, path, optical)


def _read(path: Path, given: Given) -> tuple[list[Found], str]:
    """Return what is found and the frame that it stands in, if that is said."""
    if path.is_dir():
        return _folder(path, given)
    text = _text(path)
    if text.lstrip().startswith("<"):
        try:
            root = ET.fromstring(text)
        except ET.ParseError as error:
            raise ConfigError(str(path), f"is no XML: {error}") from error
        if root.tag == "opencv_storage":
            return opencv.read({path.stem: path}, str(path), given), ""
        if root.find(".//camera/transform") is None:
            raise ConfigError(str(path), f"expected <opencv_storage> or Qualisys' <calibration>, got <{root.tag}>")
        return qualisys.read(root, str(path), given), ""
    if text.lstrip().startswith("{"):
        return panoptic.read(text, str(path), given), ""
    if _is_opencv(text):
        return opencv.read({path.stem: path}, str(path), given), ""
    data = _yaml(text)
    if ros.is_camera_info(data):
        return ros.read({path: data}, None)
    return anipose.read(text, str(path), given), ""


def _folder(path: Path, given: Given) -> tuple[list[Found], str]:
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in (".yaml", ".yml", ".xml"))
    texts = {file: _text(file) for file in files if file.name != ros.TRANSFORMS}
    infos = {file: data for file, text in texts.items() if ros.is_camera_info(data := _yaml(text))}
    if infos:
        transforms = path / ros.TRANSFORMS
        return ros.read(infos, transforms if transforms.is_file() else None)
    stored = {file.stem: file for file, text in texts.items() if _is_opencv(text)}
    if stored:
        return opencv.read(stored, str(path), given), ""
    names = ", ".join(p.name for p in sorted(path.iterdir())[:10]) or "nothing"
    raise ConfigError(str(path), "expected YAML files of ROS's camera_calibration or YAML or XML files of OpenCV in "
                                 f"the folder; found {names}")


def _is_opencv(text: str) -> bool:
    return text.startswith("%YAML") or "opencv-matrix" in text or "opencv_storage" in text


def _yaml(text: str) -> object:
    try:
        return documents.load(text)
    except yaml.YAMLError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        problem = getattr(error, "strerror", None) or str(error)
        hint = "expected a calibration file or a folder of them"
        raise ConfigError(str(path), f"cannot be read: {problem}; {hint}") from error
