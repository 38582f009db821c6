# SPDX-License-Identifier: Apache-2.0
"""Build detectors of mmdet 3.3.0 and record what they say; see mmlab.py for the environment."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmlab  # isort: skip  (makes mmdet importable)
import mmdet
import mmdet.models
import numpy as np
import torch
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from recording import BATCHES, fill, names_and_shapes
from weights import random_crops, sample, stronger

_CONFIGS = Path(mmdet.__file__).parent / ".mim" / "configs"
#: Of detectors of people, which mmpose has beside its own.
_DEMO = mmlab.CONFIGS.parent / "demo" / "mmdetection_cfg"
#: Width and height differ, so that they cannot be taken for one another.
SIZE_WH = (128, 96)
#: Cells whose decoded boxes are kept.
BOXES = 60


def build(config: str) -> Any:
    """Return the detector of a configuration of mmdet or of mmpose's demos, without pretrained weights."""
    path = _CONFIGS / config if (_CONFIGS / config).is_file() else _DEMO / config
    with tempfile.TemporaryDirectory() as folder:
        # 'mmdet::' asks for pkg_resources, which newer environments lack.
        copy = Path(folder) / path.name
        copy.write_text(path.read_text().replace("mmdet::", f"{_CONFIGS}/").replace("'../", f"'{path.parent.parent}/")
                        .replace("'./", f"'{path.parent}/"))
        made = Config.fromfile(copy)
    made.model.backbone.pop("init_cfg", None)
    init_default_scope("mmdet")
    return MODELS.build(made.model).eval()


def names(config: str) -> dict[str, np.ndarray]:
    """Return names and shapes alone."""
    return {"state": names_and_shapes(build(config))}


def flat(levels: Any) -> torch.Tensor:
    """Return (N, A, C) of the maps (N, C, H, W) of all levels."""
    return torch.cat([level.flatten(2) for level in levels], 2).transpose(1, 2)


def record(
    config: str,
    raw: Callable[[Any], dict[str, torch.Tensor]],
    decode: Callable[[Any, Any, torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    factor: float = 1.0,
) -> dict[str, np.ndarray]:
    """Run a detector with random weights, :func:`weights.stronger` by a factor, and return what a test compares."""
    model = fill(build(config), lambda values: stronger(values, factor))
    found = {"state": names_and_shapes(model), "size_wh": np.array(SIZE_WH), "factor": np.array(factor)}
    for n in BATCHES:
        # mmdet reads images as BGR, and normalises them itself.
        images = [torch.from_numpy(np.ascontiguousarray(c[..., ::-1].transpose(2, 0, 1)))
                  for c in random_crops(n, SIZE_WH)]
        with torch.inference_mode():
            outputs = model._forward(model.data_preprocessor({"inputs": images}, False)["inputs"])
            priors = torch.cat(model.bbox_head.prior_generator.grid_priors(
                [level.shape[2:] for level in outputs[0]], device="cpu", with_stride=True))
            for name, value in raw(outputs).items():
                found[f"{n}/{name}"] = sample(value.numpy())
                found[f"{n}/{name}/max"] = value.abs().max().numpy()
            boxes, scores = decode(model.bbox_head, outputs, priors)
            best, classes = scores.max(2)
            # Some of every level.
            rows = np.linspace(0, boxes.shape[1] - 1, BOXES).astype(int)
            found |= {f"{n}/rows": rows, f"{n}/boxes": boxes[:, rows].numpy(), f"{n}/scores": best[:, rows].numpy(),
                      f"{n}/classes": classes[:, rows].numpy()}
    return found
