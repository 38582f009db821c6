# SPDX-License-Identifier: Apache-2.0
"""Record OpenPose, its port, and Lightweight OpenPose: ``python record_openpose.py OPENPOSE PORT LIGHTWEIGHT``.

OPENPOSE is a clone of https://github.com/CMU-Perceptual-Computing-Lab/openpose (commit 5c5d965), PORT one of
https://github.com/Hzzone/pytorch-openpose (5ee71dc), LIGHTWEIGHT one of
https://github.com/Daniil-Osokin/lightweight-human-pose-estimation.pytorch (d23c284).

* Networks: the authors' own prototxt files, run by OpenCV's reader of Caffe models (OpenCV 4) with random weights;
  Osokin's network by PyTorch.
* Grouping: OpenPose's own C++ functions, compiled with ``g++`` by this script together with record_openpose.cpp; the
  Python of the other two. All see the scenes of paf_scenes.py, and OpenPose noise as well.

Needs NumPy, torch, scipy and ``opencv-python-headless<5``.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import paf_scenes
import torch
from recording import BATCHES, fill, names_and_shapes, save
from weights import random_crops, random_weights, sample, stronger
from write_caffe import caffemodel

_HERE = Path(__file__).parent
_SIZE = (96, 64)
#: Case -> prototxt below models/, number of heat maps, whether the outputs are recorded and not the names alone.
_CAFFE = {
    "body25": ("pose/body_25/pose_deploy", 26, True),
    "mpi-fast": ("pose/mpi/pose_deploy_linevec_faster_4_stages", 16, True),
    "hand": ("hand/pose_deploy", 22, True),
    "coco": ("pose/coco/pose_deploy_linevec", 19, False),
    "mpi": ("pose/mpi/pose_deploy_linevec", 16, False),
    "face": ("face/pose_deploy", 71, False),
}
#: Numbers of models in OpenPose's C++.
_MODELS = {"body25": 0, "coco18": 1, "mpi15": 2}
_OFFSET = 0.3


def _prepared(n: int) -> np.ndarray:
    return np.ascontiguousarray((random_crops(n, _SIZE)[..., ::-1] / 256 - 0.5).transpose(0, 3, 1, 2), np.float32)


def _enlarged(maps: np.ndarray, by: int) -> np.ndarray:
    return np.stack([cv2.resize(m, None, fx=by, fy=by, interpolation=cv2.INTER_CUBIC) for m in maps])


def _shapes(prototxt: Path) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the weights of a prototxt."""
    text = prototxt.read_text()
    channels, shapes = {"image": 3}, {}
    for block in text.split("layer {")[1:]:
        def values(key: str, block: str = block) -> list[str]:
            lines = (line.split("#")[0].partition(":") for line in block.splitlines())
            return [value.strip().strip('"') for name, _, value in lines if name.strip() == key]

        (name,), (kind, *_), bottom, top = values("name"), values("type"), values("bottom"), values("top")
        inside = sum(channels[b] for b in bottom)
        if kind == "Convolution":
            outside, kernel = int(values("num_output")[0]), int(values("kernel_size")[0])
            shapes |= {f"{name}.weight": (outside, inside, kernel, kernel), f"{name}.bias": (outside,)}
        elif kind == "PReLU":
            outside = inside
            shapes[f"{name}.weight"] = (inside,)
        else:
            outside = inside
        channels[top[0]] = outside
    return shapes


def _caffe_case(models: Path, prototxt: str, maps: int, whole: bool, folder: Path) -> dict[str, np.ndarray]:
    path = models / f"{prototxt}.prototxt"
    shapes = _shapes(path)
    found = {"state": np.array(json.dumps(shapes)), "size_wh": np.array(_SIZE)}
    if not whole:
        return found
    (folder / "net.caffemodel").write_bytes(caffemodel(random_weights(shapes)))
    network = cv2.dnn.readNetFromCaffe(str(path), str(folder / "net.caffemodel"))
    for n in BATCHES:
        network.setInput(_prepared(n))
        output = network.forward()  # of the last layer
        parts = {"heatmaps": output[:, :maps], "pafs": output[:, maps:]}
        for name, value in parts.items():
            if value.size:
                found[f"{n}/{name}"], found[f"{n}/{name}/max"] = sample(value), np.abs(value).max()
    return found


def _lightweight_case() -> dict[str, np.ndarray]:
    from models.with_mobilenet import PoseEstimationWithMobileNet  # type: ignore[import-not-found]

    factor = 1.5  # its depthwise convolutions leave little of the image
    network = fill(PoseEstimationWithMobileNet(), lambda values: stronger(values, factor))
    found = {"state": names_and_shapes(network), "size_wh": np.array(_SIZE), "factor": np.array(factor)}
    for n in BATCHES:
        with torch.inference_mode():
            outputs = network(torch.from_numpy(_prepared(n)))
        for name, value in zip(("heatmaps", "pafs"), outputs[-2:], strict=True):
            found[f"{n}/{name}"], found[f"{n}/{name}/max"] = sample(value.numpy()), value.abs().max().numpy()
    return found


def _openpose(root: Path, folder: Path) -> Callable[[str, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Compile OpenPose's grouping; return kind, heat maps, fields -> people (N, K, 3) and their scores."""
    for empty in ("opencv2/opencv.hpp", "opencv2/core/core.hpp"):
        (folder / empty).parent.mkdir(parents=True, exist_ok=True)
        (folder / empty).touch()
    sources = ("net/bodyPartConnectorBase", "net/nmsBase", "pose/poseParameters", "pose/poseParametersRender",
               "core/point", "core/rectangle")  # fmt: skip
    subprocess.run(
        ["g++", "-O2", "-std=c++14", "-fPIC", "-shared", "-I", root / "include", "-I", folder,
         _HERE / "record_openpose.cpp", *(root / f"src/openpose/{s}.cpp" for s in sources), "-o", folder / "group.so"],
        check=True,
    )  # fmt: skip
    group = ctypes.CDLL(str(folder / "group.so")).group
    pointer = ctypes.c_void_p
    group.argtypes = [pointer, *[ctypes.c_int] * 3, ctypes.c_float, pointer, pointer, ctypes.c_int]

    def run(kind: str, heatmaps: np.ndarray, fields: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        maps = np.ascontiguousarray(np.concatenate([_enlarged(heatmaps, 8), _enlarged(fields, 8)]), np.float32)
        people = np.zeros((127, len(heatmaps) - 1, 3), np.float32)
        scores = np.zeros(127, np.float32)
        n = group(maps.ctypes.data, _MODELS[kind], *maps.shape[:0:-1], _OFFSET, people.ctypes.data, scores.ctypes.data,
                  len(people))
        return people[:n], scores[:n]

    return run


def _lightweight(heatmaps: np.ndarray, fields: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return people (N, 18, 3) in pixels of maps enlarged four times, and the sums that are their scores."""
    from modules.keypoints import extract_keypoints, group_keypoints  # type: ignore[import-not-found]

    kinds: list[Any] = []
    total = 0
    for heatmap in _enlarged(heatmaps[:-1], 4):
        total += extract_keypoints(heatmap, kinds, total)
    entries, points = group_keypoints(kinds, _enlarged(fields, 4).transpose(1, 2, 0))
    people = np.zeros((len(entries), 18, 3), np.float32)
    for person, entry in zip(people, entries, strict=True):
        person[entry[:18] >= 0] = points[entry[:18][entry[:18] >= 0].astype(int), :3]
    return people, np.array([entry[-2] for entry in entries], np.float32)


def _port(root: Path) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return heat maps, fields -> people (N, 18, 3) in pixels of an image twice as large as the input."""
    from scipy.ndimage import gaussian_filter

    filters = ModuleType("scipy.ndimage.filters")
    filters.gaussian_filter = gaussian_filter  # type: ignore[attr-defined]
    sys.modules |= {"scipy.ndimage.filters": filters}
    for name in ("torchvision", "matplotlib", "matplotlib.pyplot", "src.util", "src.model"):
        sys.modules[name] = ModuleType(name)
    sys.modules["torchvision"].transforms = None  # type: ignore[attr-defined]
    sys.modules["src.model"].bodypose_model = None  # type: ignore[attr-defined]
    sys.path.insert(0, str(root))
    from src import body  # type: ignore[import-not-found]

    body.util = ModuleType("util")

    def run(heatmaps: np.ndarray, fields: np.ndarray) -> np.ndarray:
        estimator = body.Body.__new__(body.Body)
        estimator.model = lambda _: (torch.from_numpy(fields[None]), torch.from_numpy(heatmaps[None]))
        height, width = (16 * size for size in heatmaps.shape[1:])
        # It would look at a smaller image.
        shown = np.zeros((height // 2, width // 2, 3), np.uint8), [0, 0, 0, 0]
        body.util.padRightDownCorner = lambda image, stride, value: shown
        candidates, subset = estimator(np.zeros((height, width, 3), np.uint8))
        people = np.zeros((len(subset), 18, 3), np.float32)
        for person, row in zip(people, subset, strict=True):
            index = row[:18].astype(int)
            person[index >= 0] = candidates[index[index >= 0], :3]
        return people

    return run


def _best_first(people: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(-scores, kind="stable")
    return people[order], scores[order]


def _groupings(root: Path, port: Path, folder: Path) -> Iterable[tuple[str, dict[str, np.ndarray]]]:
    openpose, ported = _openpose(root, folder), _port(port)
    for kind in paf_scenes.KINDS:
        seen = {name: scene[1:] for name, scene in paf_scenes.scenes(kind).items()}
        for name, (heatmaps, fields) in {**seen, "noise": paf_scenes.noise(kind)}.items():
            people, scores = _best_first(*openpose(kind, heatmaps, fields))
            yield f"openpose/{kind}/{name}", {"people": people, "scores": scores}
            if kind == "coco18" and name != "nobody":
                people, scores = _best_first(*_lightweight(heatmaps, fields))
                yield f"lightweight/{kind}/{name}", {"people": people, "scores": scores}
                if name != "noise":
                    yield f"port/{kind}/{name}", {"people": ported(heatmaps, fields)}


def main() -> None:
    """Write ``openpose.npz`` and ``openpose_groups.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("openpose", "port", "lightweight"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    sys.path.insert(0, str(given.lightweight))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = {case: _caffe_case(given.openpose / "models", *how, folder) for case, how in _CAFFE.items()}
        save(_HERE / "openpose.npz", {**cases, "lightweight": _lightweight_case()})
        save(_HERE / "openpose_groups.npz", dict(_groupings(given.openpose, given.port, folder)))


if __name__ == "__main__":
    main()
