# SPDX-License-Identifier: Apache-2.0
"""Record DeepLabCut's own PyTorch models, decoders and crops: ``python record_deeplabcut.py``.

Needs deeplabcut 3.0.2 (LGPL-3.0) with timm 1.0.31 and torchvision; what its package imports besides (TensorFlow, GUIs,
albumentations) is not needed for the modules that are used here.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import yaml
from recording import names_and_shapes, record, save
from weights import random_crops, stronger

#: Small, because small is enough; SimCC knows one size.
_SIZE = (128, 160)


def _light_package() -> Path:
    """Make ``deeplabcut`` and ``pose_estimation_pytorch`` importable without what their ``__init__`` loads."""
    folder = Path(str(importlib.util.find_spec("deeplabcut").submodule_search_locations[0]))  # type: ignore[union-attr]
    inner = "deeplabcut.pose_estimation_pytorch"
    for name in ("deeplabcut", inner, f"{inner}.data", f"{inner}.runners"):
        module = types.ModuleType(name)
        module.__path__ = [str(folder.joinpath(*name.split(".")[1:]))]
        sys.modules[name] = module
    sys.modules["albumentations"] = MagicMock()
    return folder


FOLDER = _light_package()
from deeplabcut.pose_estimation_pytorch.models.model import PoseModel  # type: ignore[import-not-found] # noqa: E402


def _filled(value: Any, keypoints: int, channels: int) -> Any:
    """Return a configuration with its placeholders filled, as DeepLabCut does for a project."""
    if isinstance(value, dict):
        return {key: _filled(v, keypoints, channels) for key, v in value.items()}
    if isinstance(value, list):
        return [_filled(v, keypoints, channels) for v in value]
    words = {"num_bodyparts": keypoints, "num_bodyparts x 2": 2 * keypoints, "backbone_output_channels": channels}
    return words.get(value, value) if isinstance(value, str) else value


def _read(path: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / path).read_text())
    return found


def zoo(name: str, keypoints: int) -> Any:
    """Return the model of a published SuperAnimal."""
    model = _read(f"modelzoo/model_configs/{name}.yaml")["model"]
    if "out_channels" in model["heads"]["bodypart"]:
        model["heads"]["bodypart"]["out_channels"] = keypoints
    return PoseModel.build(_filled(model, keypoints, model["backbone_output_channels"]))


def project(backbone: str, head: str, keypoints: int) -> Any:
    """Return the model that a project trains: ``head`` is head_bodyparts or head_topdown."""
    model = _read(f"pose_estimation_pytorch/config/backbones/{backbone}.yaml")["model"]
    model["heads"] = {"bodypart": _read(f"pose_estimation_pytorch/config/base/{head}.yaml")}
    return PoseModel.build(_filled(model, keypoints, model["backbone_output_channels"]))


def prepare(crops: np.ndarray) -> np.ndarray:
    """Return what DeepLabCut's ``normalize_images`` makes of crops."""
    values = (crops / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    return values.transpose(0, 3, 1, 2)


def case(model: Any, size_wh: tuple[int, int], factor: float = 1.0) -> dict[str, np.ndarray]:
    """Return what a model draws, and where its predictor sees the body parts, in pixels of the crop."""

    def decode(straight: Any, mirrored: Any) -> Any:
        # It has no flip test: mirror images are decoded for themselves.
        found = model.get_predictions({"bodypart": dict(straight if mirrored is None else mirrored)})
        poses = np.asarray(found["bodypart"]["poses"])[:, 0]
        return poses[..., :2], poses[..., 2]

    found = record(model, size_wh, prepare, lambda x: model(x)["bodypart"], decode, partial(stronger, factor=factor))
    return {**found, "factor": np.array(factor)}


def crops() -> dict[str, np.ndarray]:
    """Return what DeepLabCut's crops of a picture are, and how their pixels lie in the picture."""
    from deeplabcut.pose_estimation_pytorch.data.image import top_down_crop  # type: ignore[import-not-found]
    picture = random_crops(1, (200, 150))[0]
    found = {}
    for i, box in enumerate(([40, 30, 96, 64], [-20, -10, 90, 120], [150, 100, 60, 70])):
        crop, offset, scale = top_down_crop(picture, np.array(box), (64, 64), margin=0, crop_with_context=True)
        found |= {f"{i}/box_xywh": box, f"{i}/crop": crop, f"{i}/offset": offset, f"{i}/scale": scale}
    return {key: np.array(value) for key, value in found.items()}


def main() -> None:
    """Write ``deeplabcut.npz`` beside this script."""
    cases = {
        "superanimal-hrnet": case(zoo("hrnet_w32", 39), _SIZE),
        "superanimal-resnet": case(zoo("resnet_50", 27), _SIZE),
        "superanimal-rtmpose": case(zoo("rtmpose_s", 39), (256, 256), 2.0),
        "project-hrnet-topdown": {"state": names_and_shapes(project("hrnet_w18", "head_topdown", 4))},
        "project-hrnet": {"state": names_and_shapes(project("hrnet_w48", "head_bodyparts", 4))},
        "project-resnet-topdown": {"state": names_and_shapes(project("resnet_101", "head_topdown", 4))},
        "crop": crops(),
    }
    save(Path(__file__).with_name("deeplabcut.npz"), cases)


if __name__ == "__main__":
    main()
