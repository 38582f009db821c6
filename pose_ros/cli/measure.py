# SPDX-License-Identifier: Apache-2.0
"""Compare two files of one network by their outputs, and by the time they take."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import numpy as np

from pose_ros.errors import ModelError
from pose_ros.models.card import ModelCard
from pose_ros.runtime.session import Session

#: Subjects at once for which outputs are compared.
BATCHES = (1, 4)
_RUNS, _WARM = 11, 3


def noise(card: ModelCard, any_size: bool, shape: tuple[int, ...] = ()) -> list[np.ndarray]:
    """Return inputs of noise: of the card's size, and of another one where the network takes any.

    Args:
        card: Of the network.
        any_size: Whether it takes any.
        shape: Of one input, where that is no image: of a recogniser.
    """
    width, height = card.input_wh
    rng = np.random.default_rng(0)
    sizes = [(height, width), *([(height, max(width // 2, 1))] if any_size else [])]
    if card.kind == "recogniser":
        return [rng.standard_normal((n, *shape), np.float32) for n in BATCHES]
    if channels := card.preprocess.channels:  # no image alone
        return [rng.standard_normal((n, channels, *size), np.float32) for size in sizes for n in BATCHES]
    return [card.preprocess(rng.integers(0, 256, (n, *size, 3), np.uint8)) for size in sizes for n in BATCHES]


def real(batches: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return batches of the wanted sizes out of inputs of real images (N, ...)."""
    alike = np.concatenate([batch for batch in batches if batch.shape[1:] == batches[0].shape[1:]])
    return [alike[np.arange(n) % len(alike)] for n in BATCHES]


def difference(expected: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]) -> float:
    """Return the greatest difference of outputs, relative to the largest value of each; infinity where one is NaN.

    Raises:
        ModelError: They have other shapes.
    """
    worst = 0.0
    for (name, a), b in zip(expected.items(), found.values(), strict=True):
        if a.shape != b.shape:
            raise ModelError(name, f"expected an output of shape {a.shape} from the .onnx file, got {b.shape}")
        away = np.abs(a - b).max(initial=0)
        worst = max(worst, float(away / max(np.abs(a).max(initial=0), 1e-12)) if np.isfinite(away) else np.inf)
    return worst


def milliseconds(session: Session, batch: np.ndarray) -> float:
    """Return the median time of a run after the first ones."""
    times = []
    for _ in range(_RUNS):
        began = time.perf_counter()
        session.run(batch)
        times.append(time.perf_counter() - began)
    return float(np.median(times[_WARM:]) * 1e3)
