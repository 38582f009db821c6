# SPDX-License-Identifier: Apache-2.0
"""What the scripts that record reference implementations share: same weights, same images, small files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from weights import random_crops, random_weights, sample

#: Batch sizes that are recorded.
BATCHES = (1, 4)
#: Preprocessed images (N, 3, H, W) -> outputs by name.
Forward = Callable[[torch.Tensor], Mapping[str, torch.Tensor]]
#: Random weights -> weights.
Tune = Callable[[dict[str, np.ndarray]], Mapping[str, np.ndarray]]
#: Outputs of the images, and of their mirror images or None -> keypoints (N, K, 2) in pixels of the crop and scores.
Decode = Callable[[Mapping[str, torch.Tensor], Mapping[str, torch.Tensor] | None], tuple[Any, Any]]


def names_and_shapes(module: torch.nn.Module) -> np.ndarray:
    """Return the state dict's names and shapes as JSON."""
    return np.array(json.dumps({key: list(value.shape) for key, value in module.state_dict().items()}))


def fill(module: torch.nn.Module, tune: Tune = dict) -> torch.nn.Module:
    """Give a module random weights that are the same everywhere."""
    shapes = {key: tuple(value.shape) for key, value in module.state_dict().items()}
    module.load_state_dict({key: torch.from_numpy(value) for key, value in tune(random_weights(shapes)).items()})
    return module.eval()


def record(
    module: torch.nn.Module, size_wh: tuple[int, int], prepare: Callable[[np.ndarray], Any], forward: Forward,
    decode: Decode, tune: Tune = dict,
) -> dict[str, np.ndarray]:
    """Run a reference and return what a test compares.

    Args:
        module: What has the weights; they are overwritten.
        size_wh: Of the crops.
        prepare: The reference's preprocessing, RGB uint8 (N, H, W, 3) -> float32 (N, 3, H, W).
        forward: The reference's network.
        decode: Its decoder, with the flip test where there are outputs of mirror images.
        tune: Changes the weights where without it the outputs would hardly depend on the images.
    """
    fill(module, tune)
    found = {"state": names_and_shapes(module), "size_wh": np.array(size_wh)}
    for n in BATCHES:
        crops = random_crops(n, size_wh)
        with torch.inference_mode():
            straight, mirrored = (forward(torch.from_numpy(np.ascontiguousarray(prepare(c), np.float32)))
                                  for c in (crops, crops[:, :, ::-1]))  # fmt: skip
            for name, value in straight.items():
                found[f"{n}/{name}"] = sample(value.numpy())
                found[f"{n}/{name}/max"] = value.abs().max().numpy()
            for kind, other in (("straight", None), ("flipped", mirrored)):
                keypoints, scores = decode(straight, other)
                found[f"{n}/{kind}/keypoints"] = np.asarray(keypoints, np.float32)
                found[f"{n}/{kind}/scores"] = np.asarray(scores, np.float32)
    return found


def save(path: Path, cases: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Write the cases of a family, each under its name."""
    np.savez_compressed(path, **{f"{name}/{key}": value for name, case in cases.items() for key, value in case.items()})
