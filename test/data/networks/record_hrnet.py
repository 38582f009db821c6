# SPDX-License-Identifier: Apache-2.0
"""Record HRNet of mmpose and of its authors: ``python record_hrnet.py ORIGINAL``.

ORIGINAL is a clone of https://github.com/leoxiaobin/deep-high-resolution-net.pytorch (commit 6f69e46). The environment
is that of ``mmlab.py``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mmlab
import mmlab_decode
import numpy as np
import planted
import torch
import yaml
from mmengine.config import ConfigDict
from mmpose.codecs import MSRAHeatmap, UDPHeatmap
from recording import names_and_shapes, record, save

_COCO = "body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-{}_coco-{}.py"
_HAND = "hand_2d_keypoint/topdown_heatmap/onehand10k/td-hm_hrnetv2-w18_8xb64-210e_onehand10k-256x256.py"
_FACE = "face_2d_keypoint/topdown_heatmap/wflw/td-hm_hrnetv2-w18_8xb64-60e_wflw-256x256.py"
#: COCO.
FLIP = (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)


def _mmpose(config: str, size_wh: tuple[int, int], flip: Any) -> dict[str, np.ndarray]:
    model = mmlab.build(config)
    return record(
        model, size_wh, mmlab_decode.prepare(model), lambda x: {"heatmaps": model.head(model.extract_feat(x))},
        mmlab_decode.heatmaps(model, flip, "heatmaps"),
    )  # fmt: skip


def _original(folder: Path, width: int) -> Any:
    from models.pose_hrnet import get_pose_net  # type: ignore[import-not-found]

    path = folder / f"experiments/coco/hrnet/w{width}_256x192_adam_lr1e-3.yaml"
    return get_pose_net(ConfigDict(yaml.safe_load(path.read_text())), is_train=False)


def _original_case(folder: Path) -> dict[str, np.ndarray]:
    from core.inference import get_final_preds  # type: ignore[import-not-found]
    from utils.transforms import flip_back  # type: ignore[import-not-found]

    model = _original(folder, 32)
    config = SimpleNamespace(TEST=SimpleNamespace(POST_PROCESS=True))
    pairs = [[i, i + 1] for i in range(1, 16, 2)]

    def decode(straight: dict[str, torch.Tensor], mirrored: dict[str, torch.Tensor] | None) -> Any:
        maps = straight["heatmaps"].numpy()
        if mirrored is not None:
            other = flip_back(mirrored["heatmaps"].numpy().copy(), pairs)
            other[..., 1:] = other.copy()[..., :-1]
            maps = (maps + other) * 0.5
        # Centre and scale of a crop that is the whole image.
        centre, scale = np.array([[96.0, 128.0]] * len(maps)), np.array([[192.0, 256.0]] * len(maps)) / 200
        keypoints, scores = get_final_preds(config, maps, centre, scale)
        return keypoints, scores[..., 0]

    def prepare(crops: np.ndarray) -> np.ndarray:
        return ((crops / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(0, 3, 1, 2)

    return record(model, (192, 256), prepare, lambda x: {"heatmaps": model(x)}, decode)


def _decoders() -> dict[str, np.ndarray]:
    """Return what mmpose's codecs find in planted maps: (N, K, 3), x and y in pixels of the crop and score."""

    def decoded(codec: Any, maps: np.ndarray) -> np.ndarray:
        rows = [codec.decode(each) for each in maps]
        return np.stack([np.concatenate([k[0], s[0][:, None]], axis=1) for k, s in rows]).astype(np.float32)

    found = {}
    for sigma, size_wh in planted.HEATMAPS:
        inputs = tuple(4 * s for s in size_wh)
        _, maps = planted.noisy_blobs(4, 17, size_wh, sigma)
        found[f"argmax/{sigma}"] = decoded(MSRAHeatmap(inputs, size_wh, sigma), maps)
        for kernel in planted.KERNELS:
            found[f"dark/{sigma}/{kernel}"] = decoded(MSRAHeatmap(inputs, size_wh, sigma, True, kernel), maps)
            found[f"udp/{sigma}/{kernel}"] = decoded(UDPHeatmap(inputs, size_wh, blur_kernel_size=kernel), maps)
        _, maps = planted.noisy_offsets(4, 17, size_wh)
        found[f"combined/{sigma}"] = decoded(UDPHeatmap(inputs, size_wh, heatmap_type="combined"), maps)
    return found


def main() -> None:
    """Write ``hrnet.npz`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("original", type=Path)
    folder = parser.parse_args().original
    sys.path.insert(0, str(folder / "lib"))
    torch.set_num_threads(1)
    cases = {
        "mmpose-w32": _mmpose(_COCO.format("w32_8xb64-210e", "256x192"), (192, 256), FLIP),
        "mmpose-w18-hand": _mmpose(_HAND, (256, 256), range(21)),
        "original-w32": _original_case(folder),
        "original-w48": {"state": names_and_shapes(_original(folder, 48))},
        "decoders": _decoders(),
    }
    for name, config in (
        ("mmpose-w48", _COCO.format("w48_8xb32-210e", "384x288")),
        ("mmpose-w32-offsets", _COCO.format("w32_udp-regress-8xb64-210e", "256x192")),
        ("mmpose-w18-face", _FACE),
    ):
        cases[name] = {"state": names_and_shapes(mmlab.build(config))}
    save(Path(__file__).with_name("hrnet.npz"), cases)


if __name__ == "__main__":
    main()
