# SPDX-License-Identifier: Apache-2.0
"""Preprocess and decode as mmpose 1.3.2 does, with its own functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmpose.models.utils.tta import flip_coordinates, flip_heatmaps


def prepare(model: Any) -> Any:
    """Return the preprocessing of a model, RGB uint8 (N, H, W, 3) -> (N, 3, H, W)."""
    mean, std = (getattr(model.data_preprocessor, name).numpy().ravel() for name in ("mean", "std"))
    return lambda crops: ((crops - mean) / std).transpose(0, 3, 1, 2)


def heatmaps(model: Any, flip_indices: Sequence[int], output: str) -> Any:
    """Return the decoder of a model with heat maps, see ``recording.Decode``; it decodes ``output``."""

    def decode(straight: Mapping[str, torch.Tensor], mirrored: Mapping[str, torch.Tensor] | None) -> Any:
        maps = straight[output].clone()
        if mirrored is not None:
            # Without its configuration's flag, mmpose moves the mirrored maps nowhere.
            config = model.test_cfg
            other = flip_heatmaps(mirrored[output].clone(), list(flip_indices), shift_heatmap=config["shift_heatmap"])
            maps = (maps + other) * 0.5
        found = [model.head.decoder.decode(m) for m in maps.numpy()]
        return np.concatenate([k for k, _ in found]), np.concatenate([s for _, s in found])

    return decode


def coordinates(model: Any, flip_indices: Sequence[int], input_wh: tuple[int, int], output: str) -> Any:
    """Return the decoder of a model that regresses coordinates, see ``recording.Decode``."""

    def decode(straight: Mapping[str, torch.Tensor], mirrored: Mapping[str, torch.Tensor] | None) -> Any:
        points = straight[output].clone()
        if mirrored is not None:
            shift = model.test_cfg["shift_coords"]
            other = flip_coordinates(mirrored[output].clone(), list(flip_indices), shift, input_wh)
            points = (points + other) * 0.5
        return model.head.decoder.decode(points.numpy())

    return decode
