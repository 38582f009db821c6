# SPDX-License-Identifier: Apache-2.0
"""A network without weights for every built-in plugin: numbers that depend on the pixels and on nothing else."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from pose_ros.models.card import ModelCard
from pose_ros.runtime.session import FakeSession, Tensor

#: A network: the input of one sample, random numbers that belong to it -> outputs in the order of the card.
Network = Callable[[np.random.Generator], list[np.ndarray]]


def _heatmaps(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.random((17, 64, 48)) * 1.2 - 0.1]


def _yolox(rng: np.random.Generator) -> list[np.ndarray]:
    return [np.concatenate([rng.normal(0, 1, (3549, 4)), rng.random((3549, 81))], axis=1)]


def _ssd(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(50, 30, (2254, 12)), rng.normal(-3, 2, (2254, 1))]


def _blazepose(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(128, 40, 195), rng.random(1), rng.normal(0, 2, (64, 64, 39)), rng.normal(0, 0.5, 117)]


#: Plugin -> a shipped card and a network for it. Whoever adds a plugin adds a line here.
FAKES: dict[str, dict[str, tuple[str, Network]]] = {
    "detectors": {"ssd": ("mediapipe-pose-detection", _ssd), "yolox": ("yolox-nano", _yolox)},
    "estimators": {"blazepose": ("blazepose-full", _blazepose), "heatmap": ("simplepose-ultralight", _heatmaps)},
}


def session(card: ModelCard, network: Network) -> FakeSession:
    """Return a session whose outputs are a function of each sample alone, as those of a real network are."""
    width, height = card.input_wh
    size = (3, height, width) if card.preprocess.layout == "nchw" else (height, width, 3)
    shapes = [output.shape for output in network(np.random.default_rng(0))]
    names = card.outputs or tuple(f"out{i}" for i in range(len(shapes)))

    def run(batch: np.ndarray) -> dict[str, np.ndarray]:
        samples = [network(np.random.default_rng(zlib.crc32(np.ascontiguousarray(x).tobytes()))) for x in batch]
        return {
            name: np.array([s[i] for s in samples], np.float32).reshape(len(batch), *shapes[i])
            for i, name in enumerate(names)
        }

    outputs = [Tensor(name, (-1, *shape)) for name, shape in zip(names, shapes, strict=True)]
    return FakeSession(Tensor("image", (-1, *size)), outputs, run)
