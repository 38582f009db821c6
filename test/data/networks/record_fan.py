# SPDX-License-Identifier: Apache-2.0
"""Record face-alignment's networks and what it does with their outputs: ``python record_fan.py FOLDER``.

FOLDER is the unpacked wheel face_alignment 1.5.0 (BSD-3-Clause). Of what it imports, PyTorch and OpenCV have to be
there; numba, which only makes it faster, and scikit-image, which reads files, are stood in for.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import planted
import torch
from recording import BATCHES, fill, names_and_shapes, save
from weights import random_crops, sample

#: Of the crops: the smallest that have a pixel left in the smallest maps, and the only ones whose depth is known.
_SIZE, _DEPTH_SIZE = (64, 64), (256, 256)
#: Faces whose depth is recorded.
FACES = 2


def _module(folder: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name.replace("/", "."), folder / f"face_alignment/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _stand_in(name: str, **content: Any) -> None:
    module = ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module


def _maps(model: torch.nn.Module) -> dict[str, np.ndarray]:
    fill(model)
    found: dict[str, np.ndarray] = {"state": names_and_shapes(model), "size_wh": np.array(_SIZE)}
    for n in BATCHES:
        image = torch.from_numpy((random_crops(n, _SIZE).transpose(0, 3, 1, 2) / 255).astype(np.float32))
        with torch.inference_mode():
            for i, maps in enumerate(model(image)):
                found[f"{n}/heatmaps_{i + 1}"] = sample(maps.numpy())
                found[f"{n}/heatmaps_{i + 1}/max"] = maps.abs().max().numpy()
    return found


def _depth(model: torch.nn.Module, utils: Any) -> dict[str, np.ndarray]:
    """Return the depth of planted points, as ``get_landmarks_from_image`` comes to it."""
    fill(model)
    _, straight = planted.noisy_blobs(FACES, 68, (64, 64), sigma=1.0)
    _, mirrored = planted.noisy_blobs(FACES, 68, (64, 64), sigma=1.0, seed=1)
    out = straight + utils.flip(torch.from_numpy(mirrored), is_label=True).numpy()
    image = torch.from_numpy((random_crops(FACES, _DEPTH_SIZE).transpose(0, 3, 1, 2) / 255).astype(np.float32))
    found: dict[str, np.ndarray] = {"state": names_and_shapes(model), "size_wh": np.array(_DEPTH_SIZE)}
    for kind, maps in (("straight", straight), ("flipped", out)):
        preds, _, scores = utils.get_preds_fromhm(maps.copy())
        found[f"{kind}/keypoints"], found[f"{kind}/scores"] = np.float32(preds * 4), np.float32(scores)
    drawn = np.zeros((FACES, 68, 256, 256), np.float32)
    for face, points in zip(drawn, found["straight/keypoints"], strict=True):
        for blob, point in zip(face, points, strict=True):
            if point[0] > 0 and point[1] > 0:
                utils.draw_gaussian(blob, point, 2)
    with torch.inference_mode():
        depth = model(torch.cat([image, torch.from_numpy(drawn)], dim=1)).numpy()
    return {**found, "drawn": sample(drawn, 4000), "sums": drawn.sum((2, 3)), f"{FACES}/depth": depth}


def main() -> None:
    """Write ``fan.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    _stand_in("numba", jit=lambda **_: lambda function: function)
    _stand_in("skimage", io=SimpleNamespace(), color=SimpleNamespace())
    utils, fan, resnet = (_module(folder, name) for name in ("utils", "models/fan", "models/resnet"))
    save(Path(__file__).with_name("fan.npz"), {
        "fan-4": _maps(fan.FAN(4)),
        "depth": _depth(resnet.ResNetDepth(), utils),
    })  # fmt: skip


if __name__ == "__main__":
    main()
