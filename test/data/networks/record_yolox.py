# SPDX-License-Identifier: Apache-2.0
"""Record what YOLOX says, of mmdet 3.3.0 and of its authors: ``python record_yolox.py CHECKOUT`` writes yolox.npz.

CHECKOUT is a folder with https://github.com/Megvii-BaseDetection/YOLOX (seen to run: 6ddff48). Environment: see
mmlab.py.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import mmdet_reference
import numpy as np
import torch
from mmdet_reference import SIZE_WH
from recording import BATCHES, fill, names_and_shapes, save
from weights import random_crops, sample, stronger

#: The depthwise convolutions of the smallest one leave little of the image.
_FACTOR = {"n": 1.25, "t": 1.0}


def decode(head: torch.nn.Module, outputs: tuple, priors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return boxes (N, A, 4) and scores (N, A, C) by mmdet's own decoder."""
    scores, boxes, objectness = (mmdet_reference.flat(x) for x in outputs)
    return head._bbox_decode(priors, boxes), scores.sigmoid() * objectness.sigmoid()


def raw(outputs: tuple) -> dict[str, torch.Tensor]:
    """Return the outputs as the files of YOLOX's authors have them."""
    scores, boxes, objectness = (mmdet_reference.flat(x) for x in outputs)
    return {"output": torch.cat([boxes, objectness.sigmoid(), scores.sigmoid()], 2)}


def original(checkout: str, depth: float, width: float, depthwise: bool) -> Any:
    """Return the authors' network; what only its training imports is replaced."""
    sys.path.append(checkout)
    for name, attributes in {
        "loguru": {"logger": None},
        "yolox.utils": {"bboxes_iou": None, "cxcywh2xyxy": None, "visualize_assign": None,
                        "meshgrid": lambda *x: torch.meshgrid(*x, indexing="ij")},
    }.items():
        sys.modules.setdefault(name, ModuleType(name)).__dict__.update(attributes)
    from yolox.models import YOLOPAFPN, YOLOX, YOLOXHead

    channels = [256, 512, 1024]
    model = YOLOX(YOLOPAFPN(depth, width, in_channels=channels, depthwise=depthwise),
                  YOLOXHead(80, width, in_channels=channels, depthwise=depthwise))
    for module in model.modules():  # as yolox/exp/yolox_base.py does
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps = 1e-3
    return model.eval()


def record(model: Any, factor: float) -> dict[str, np.ndarray]:
    """Run the authors' network with random weights."""
    fill(model, lambda values: stronger(values, factor))
    found = {"state": names_and_shapes(model), "size_wh": np.array(SIZE_WH), "factor": np.array(factor)}
    for n in BATCHES:
        images = np.ascontiguousarray(random_crops(n, SIZE_WH)[..., ::-1].transpose(0, 3, 1, 2), np.float32)
        with torch.inference_mode():
            model.head.decode_in_inference = False
            output = model(torch.from_numpy(images))
            found |= {f"{n}/output": sample(output.numpy()), f"{n}/output/max": output.abs().max().numpy()}
            boxes = model.head.decode_outputs(output.clone(), "torch.FloatTensor")
            rows = np.linspace(0, boxes.shape[1] - 1, mmdet_reference.BOXES).astype(int)
            middle, half = boxes[:, rows, :2], boxes[:, rows, 2:4] / 2
            scores, classes = (boxes[:, rows, 4:5] * boxes[:, rows, 5:]).max(2)
            found |= {f"{n}/rows": rows, f"{n}/boxes": torch.cat([middle - half, middle + half], 2).numpy(),
                      f"{n}/scores": scores.numpy(), f"{n}/classes": classes.numpy()}
    return found


if __name__ == "__main__":
    cases = {
        f"mmdet-{size}": mmdet_reference.record(f"yolox/yolox_{name}_8xb8-300e_coco.py", raw, decode, _FACTOR[size])
        for size, name in (("n", "nano"), ("t", "tiny"))
    }
    cases |= {f"mmdet-{size}": mmdet_reference.names(f"yolox/yolox_{size}_8xb8-300e_coco.py") for size in "smlx"}
    cases |= {
        f"authors-{size}": record(original(sys.argv[1], depth, width, size == "n"), _FACTOR[size])
        for size, depth, width in (("n", 0.33, 0.25), ("t", 0.33, 0.375))
    }
    cases |= {
        f"authors-{size}": {"state": names_and_shapes(original(sys.argv[1], depth, width, False))}
        for size, depth, width in (("s", 0.33, 0.5), ("m", 0.67, 0.75), ("l", 1.0, 1.0), ("x", 1.33, 1.25))
    }
    save(Path(__file__).with_name("yolox.npz"), cases)
