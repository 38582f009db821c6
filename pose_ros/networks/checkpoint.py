# SPDX-License-Identifier: Apache-2.0
"""Read checkpoints without running anything that is in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from pose_ros.errors import ModelCorruptError


def read(path: Path) -> Mapping[str, Tensor]:
    """Return the state dict of a checkpoint.

    Raises:
        ModelCorruptError: The file is cut off, holds other things than tensors, or asks to run code.
    """
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise ModelCorruptError(path.name, f"cannot read {path}: {error}") from error
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    return content
