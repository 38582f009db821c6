# SPDX-License-Identifier: Apache-2.0
"""A network without weights for every built-in plugin: numbers that depend on the pixels and on nothing else."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from pose_ros import registry
from pose_ros.estimators.base import CropEstimator
from pose_ros.models import cards
from pose_ros.models.card import ModelCard
from pose_ros.runtime.session import FakeSession, Tensor

#: What looks at images or keypoints; recognisers and rules, which look at seconds of them, have their own contract.
KINDS = [kind for kind in registry.BUILTIN if kind not in ("recognisers", "rules")]
PLUGINS = [(kind, name) for kind in KINDS for name in registry.BUILTIN[kind]]
#: Estimators that are told where to look, and those that see for themselves.
CROP, IMAGE = ([p for p in PLUGINS if p[0] == "estimators" and issubclass(registry.load(*p), CropEstimator) == crops]
               for crops in (True, False))

#: A network: random numbers that belong to a sample -> its outputs in the order of the card. One that takes inputs of
#: any size has a second argument, the (height, width) of the sample.
Network = Callable[..., list[np.ndarray]]
#: Of OpenPose's COCO model: which keypoints limbs join, and the channels of their fields.
_LIMBS, _FIELDS = (
    [tuple(map(int, pair.split(mark))) for pair in str(cards.get("lightweight-openpose").params[name]).split()]
    for name, mark in (("limbs", "-"), ("channels", ","))
)


def _heatmaps(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.random((17, 64, 48)) * 1.2 - 0.1]


def _faces(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.random((68, 64, 64)) * 1.2 - 0.1]


def _ert(rng: np.random.Generator) -> list[np.ndarray]:
    """Two stages; all points near the middle of a region, which is in the image even where its borders are not.

    The card's rectangle is a little lower.
    """
    places = np.concatenate([rng.integers(0, 5, (2, 800, 1)), rng.normal(0, 0.1, (2, 800, 2))], axis=2)
    return [np.array([0.5, 0.47]) + 0.005 * rng.standard_normal((5, 2)), places]


def _regression(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.random((17, 4)) * 1.2 - 0.1]


def _simcc(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.random((17, 384)) * 1.2 - 0.1, rng.random((17, 512)) * 1.2 - 0.1]


def _yolox(rng: np.random.Generator) -> list[np.ndarray]:
    return [np.concatenate([rng.normal(0, 1, (3549, 4)), rng.random((3549, 81))], axis=1)]


def _rtmdet(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(20, 20, (8400, 4)), rng.normal(-3, 2, (8400, 80))]


def _end2end(rng: np.random.Generator) -> list[np.ndarray]:
    corner = 300 * rng.random((20, 2))
    found = np.concatenate([corner, corner + 300 * rng.random((20, 2)), rng.random((20, 1))], axis=1)
    # What is left over is filled up.
    found[15:] = 0
    classes = np.where(np.arange(20) < 15, rng.integers(0, 3, 20), -1)
    return [found, classes]


def _rtmo(rng: np.random.Generator) -> list[np.ndarray]:
    corner = 300 * rng.random((30, 2))
    boxes = np.concatenate([corner, corner + 300 * rng.random((30, 2))], axis=1)
    keypoints = boxes[:, None, :2] + rng.random((30, 17, 2)) * (boxes[:, None, 2:] - boxes[:, None, :2])
    scores, visibilities = rng.random((30, 1)), rng.random((30, 17, 1))
    return [np.concatenate([boxes, scores], axis=1), np.concatenate([keypoints, visibilities], axis=2)]


def _ssd(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(50, 30, (2254, 12)), rng.normal(-3, 2, (2254, 1))]


def _blazepose(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(128, 40, 195), rng.random(1), rng.normal(0, 2, (64, 64, 39)), rng.normal(0, 0.5, 117)]


def _nanodet(rng: np.random.Generator) -> list[np.ndarray]:
    return [np.concatenate([rng.random((3598, 80)), rng.normal(0, 2, (3598, 32))], axis=1)]


def _ultraface(rng: np.random.Generator) -> list[np.ndarray]:
    corner = rng.random((4420, 2))
    return [rng.random((4420, 2)), np.concatenate([corner, corner + 0.3 * rng.random((4420, 2))], axis=1)]


def _yunet(rng: np.random.Generator) -> list[np.ndarray]:
    cells = [(640 // stride) ** 2 for stride in (8, 16, 32)]
    numbers = {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
    return [(rng.random if n == 1 else rng.standard_normal)((a, n)) for n in numbers.values() for a in cells]


def _landmarks(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(112, 40, 63), rng.random(1), rng.random(1), rng.normal(0, 0.05, 63)]


def _hamer(rng: np.random.Generator) -> list[np.ndarray]:
    rotations, _ = np.linalg.qr(rng.normal(size=(16, 3, 3)))
    return [rotations, rng.normal(0, 1, 10), np.append(rng.uniform(0.7, 1.2), rng.normal(0, 0.02, 2))]


def _movenet(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.random((1, 17, 3))]


def _movenet_multipose(rng: np.random.Generator) -> list[np.ndarray]:
    rows = rng.random((6, 56))
    return [np.concatenate([rows[:, :53], rows[:, 51:53] + rows[:, 53:55], rows[:, 55:]], axis=1)]


def _paf(rng: np.random.Generator, size: tuple[int, int]) -> list[np.ndarray]:
    """One who stands with all keypoints in one column, and limbs along it."""
    height, width = size[0] // 8, size[1] // 8
    rows, column = np.linspace(2.2, height - 2.8, 18), rng.uniform(0, width - 1)
    y, x = np.ogrid[:height, :width]
    blobs = np.exp(-((x - column) ** 2) - (y - rows[:, None, None]) ** 2)
    heatmaps = np.concatenate([rng.uniform(0.5, 0.9, (18, 1, 1)) * blobs, np.zeros((1, height, width))])
    fields = np.zeros((38, height, width))
    for limb, (_, y) in zip(_LIMBS, _FIELDS, strict=True):
        fields[y] = np.sign(rows[limb[1]] - rows[limb[0]])
    return [heatmaps, fields]


def _cells(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.random((39, 33, 33)), rng.normal(0, 0.3, (78, 33, 33))]


def _middles(rng: np.random.Generator, size: tuple[int, int]) -> list[np.ndarray]:
    """Three middles, whatever the size of the input."""
    height, width = size[0] // 4, size[1] // 4
    places = (rng.uniform(0.2, 0.8, (3, 2)) + np.eye(2)[[1, 0, 0]] * [[0], [1], [2]]) * [width / 3, height]
    y, x = np.mgrid[:height, :width]
    away = (x - places[:, 0, None, None]) ** 2 + (y - places[:, 1, None, None]) ** 2
    return [(rng.uniform(0.5, 0.9, (3, 1, 1)) * np.exp(-away / 4)).max(axis=0)[..., None]]


def _one_mouse(rng: np.random.Generator, size: tuple[int, int]) -> list[np.ndarray]:
    """One in the middle third, whatever the size of the input."""
    height, width = size[0] // 4, size[1] // 4
    places = rng.uniform(0.35, 0.65, (27, 2)) * [width, height]
    y, x = np.mgrid[:height, :width]
    away = (x - places[:, 0, None, None]) ** 2 + (y - places[:, 1, None, None]) ** 2
    return [0.8 * np.exp(-away / 8)]


def _embedding(rng: np.random.Generator, size: tuple[int, int]) -> list[np.ndarray]:
    """Three people in a row, whatever the pixels: those at the border of a larger picture are others."""
    return _three_people(size[0] // 2, size[1] // 2)


@cache
def _three_people(height: int, width: int) -> list[np.ndarray]:
    y, x = np.mgrid[:height, :width]
    fixed = np.random.default_rng(7)
    places = fixed.uniform(0.2, 0.8, (3, 17, 2)) * [width / 3, height] + np.arange(3)[:, None, None] * [width / 3, 0]
    away = (x - places[..., 0, None, None]) ** 2 + (y - places[..., 1, None, None]) ** 2
    fine = (np.exp(-away / 8) * fixed.uniform(0.4, 0.9, (3, 17, 1, 1))).max(axis=0)
    tags = np.broadcast_to((3 * x // width * 2)[::2, ::2], (17, height // 2, width // 2))
    return [np.concatenate([fine[:, ::2, ::2], tags]), fine]


def card(name: str) -> ModelCard:
    """Return a shipped card, or one of test/data/cards where no network is published."""
    path = Path(__file__).parents[1] / f"data/cards/{name}.yaml"
    return cards.read(path, name) if path.exists() else cards.get(name)


#: Plugin -> its card and a network for it. Whoever adds a plugin adds a line here.
FAKES: dict[str, dict[str, tuple[str, Network]]] = {
    "detectors": {
        "centroid": ("centroid", _middles),
        "end2end": ("yolox-s-humanart", _end2end),
        "nanodet": ("nanodet-plus-m-416", _nanodet),
        "rtmdet": ("rtmdet-tiny", _rtmdet),
        "ssd": ("mediapipe-pose-detection", _ssd),
        "ultraface": ("ultraface-rfb-320", _ultraface),
        "yolox": ("yolox-nano", _yolox),
        "yunet": ("yunet-s", _yunet),
    },
    "estimators": {
        "blazepose": ("blazepose-full", _blazepose),
        "centered-instance": ("superanimal-quadruped-resnet-50", _cells),
        "single-instance": ("superanimal-topviewmouse-hrnet-w32-whole", _one_mouse),
        "embedding": ("higherhrnet-w32", _embedding),
        "hamer": ("hamer", _hamer),
        "ert": ("dlib-5", _ert),
        "fan": ("fan-2d", _faces),
        "heatmap": ("simplebaseline-res50", _heatmaps),
        "paf": ("lightweight-openpose", _paf),
        "recrop": ("mediapipe-hand-recrop", lambda rng: [rng.normal(128, 40, (1, 1, 4))]),
        "regression": ("deeppose-res50-rle", _regression),
        "rtmo": ("rtmo-s", _rtmo),
        "simcc": ("rtmpose-t", _simcc),
        "landmarks": ("mediapipe-hand-landmark-lite", _landmarks),
        "movenet": ("movenet-thunder-ptq", _movenet),
        "movenet-multipose": ("movenet-multipose", _movenet_multipose),
    },
    "lifters": {
        "sequence": ("videopose3d-27", lambda rng: [rng.normal(0, 0.4, (17, 3))]),
    },
}


#: Image estimator -> a network that sees nobody.
NOBODY: dict[str, Network] = {
    # Files of OpenMMLab fill up with a row of zeros.
    "rtmo": lambda rng: [np.zeros((1, 5)), np.zeros((1, 17, 3))],
    "single-instance": lambda rng, size: [np.zeros((27, size[0] // 4, size[1] // 4))],
    "embedding": lambda rng, size: [np.zeros((c, size[0] // n, size[1] // n)) for c, n in ((34, 4), (17, 2))],
    "paf": lambda rng, size: [np.zeros((c, size[0] // 8, size[1] // 8)) for c in (19, 38)],
    "movenet-multipose": lambda rng: [np.zeros((6, 56))],
}


def session(
    card: ModelCard,
    network: Network,
    spoil: Callable[[np.ndarray], np.ndarray] | None = None,
    seed: int | None = None,
) -> FakeSession:
    """Return a session whose outputs are a function of each sample alone, as those of a real network are.

    ``spoil`` changes each output; with a ``seed`` they are the same whatever the pixels.
    """
    width, height = card.input_wh
    takes_size = len(inspect.signature(network).parameters) == 2
    chw = card.preprocess.layout == "nchw"

    def outputs_of(seed: int, size: tuple[int, ...]) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        made = [np.asarray(x, np.float32) for x in (network(rng, size) if takes_size else network(rng))]
        return made if spoil is None else [spoil(x) for x in made]

    shapes = [output.shape for output in outputs_of(0, (height, width))]
    names = card.outputs or tuple(f"out{i}" for i in range(len(shapes)))

    def run(batch: np.ndarray) -> dict[str, np.ndarray]:
        size = batch.shape[2:] if chw else batch.shape[1:3]
        seeds = [zlib.crc32(np.ascontiguousarray(x).tobytes()) if seed is None else seed for x in batch]
        samples = [outputs_of(s, size) for s in seeds]
        return {
            name: np.stack([s[i] for s in samples]) if samples else np.empty((0, *shapes[i]), np.float32)
            for i, name in enumerate(names)
        }

    if takes_size:
        width = height = -1
        shapes = [(shape[0], *(-1 for _ in shape[1:])) for shape in shapes]
    channels = card.preprocess.channels or 3
    size = (channels, height, width) if chw else (height, width, channels)
    outputs = [Tensor(name, (-1, *shape)) for name, shape in zip(names, shapes, strict=True)]
    return FakeSession(Tensor("image", (-1, *size), card.preprocess.dtype), outputs, run)
