# SPDX-License-Identifier: Apache-2.0
"""Record what RTMDet of mmdet 3.3.0 says: ``python record_rtmdet.py`` writes rtmdet.npz. Environment: see mmlab.py."""

from __future__ import annotations

from pathlib import Path

import mmdet_reference
import torch
from recording import save


def decode(head: torch.nn.Module, outputs: tuple, priors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return boxes (N, A, 4) and scores (N, A, C) by the reference's own decoder."""
    logits, distances = (mmdet_reference.flat(x) for x in outputs)
    return head.bbox_coder.decode(priors[:, :2].expand(len(distances), -1, 2), distances), logits.sigmoid()


def raw(outputs: tuple) -> dict[str, torch.Tensor]:
    """Return the outputs by name."""
    logits, distances = (mmdet_reference.flat(x) for x in outputs)
    return {"distances": distances, "logits": logits}


if __name__ == "__main__":
    save(Path(__file__).with_name("rtmdet.npz"), {
        "rtmdet-n": mmdet_reference.record("rtmdet_nano_320-8xb32_coco-person.py", raw, decode, 1.75),
        "rtmdet-t": mmdet_reference.record("rtmdet/rtmdet_tiny_8xb32-300e_coco.py", raw, decode, 1.75),
        "rtmdet-m": mmdet_reference.record("rtmdet_m_640-8xb32_coco-person.py", raw, decode, 1.68),
    } | {f"rtmdet-{size}": mmdet_reference.names(f"rtmdet/rtmdet_{size}_8xb32-300e_coco.py") for size in "slx"})
