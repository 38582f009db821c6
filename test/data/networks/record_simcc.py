# SPDX-License-Identifier: Apache-2.0
"""Record RTMPose, RTMW and SimCC of mmpose: ``python record_simcc.py``, in the environment of ``mmlab.py``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mmlab
import mmlab_decode
import numpy as np
import simcc_planted as planted
import torch
from mmengine.dataset import Compose
from mmpose.codecs import SimCCLabel
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.models.utils.tta import flip_vectors
from recording import fill, names_and_shapes, record, save
from simcc_models import NAMED, RUN, tuned

#: The outputs for two images differ by more than this part of the largest value.
_LIVELY = 0.05
#: Grey values, at most.
_NOISE = 10
#: Pixels.
_SHIFT = 0.06
#: Data sets whose keypoints a configuration does not name.
_META = {"CocoDataset": "coco", "CocoWholeBodyDataset": "coco_wholebody"}


def _meta(config: str) -> dict[str, Any]:
    """Return what mmpose knows about the keypoints of a configuration."""
    dataset = mmlab.Config.fromfile(mmlab.CONFIGS / config).test_dataloader.dataset
    path = dataset.metainfo.from_file if "metainfo" in dataset else f"configs/_base_/datasets/{_META[dataset.type]}.py"
    return parse_pose_metainfo({"from_file": str(mmlab.CONFIGS.parent / path)})


def _case(config: str, size_wh: tuple[int, int]) -> dict[str, np.ndarray]:
    model = mmlab.build(config)
    codec, flip = model.head.decoder, list(_meta(config)["flip_indices"])

    def forward(images: torch.Tensor) -> Mapping[str, torch.Tensor]:
        x, y = model.head(model.extract_feat(images))
        if len(x) > 1 and min(float((v[0] - v[1]).abs().max() / v.abs().max()) for v in (x, y)) < _LIVELY:
            raise RuntimeError(f"{config}: the vectors hardly depend on the image")
        return {"simcc_x": x, "simcc_y": y}

    def decode(straight: Mapping[str, torch.Tensor], mirrored: Mapping[str, torch.Tensor] | None) -> Any:
        vectors = [straight["simcc_x"], straight["simcc_y"]]
        if mirrored is not None:
            other = flip_vectors(mirrored["simcc_x"], mirrored["simcc_y"], flip)
            vectors = [(a + b) * 0.5 for a, b in zip(vectors, other, strict=True)]
        codec.decode_visibility = False
        return codec.decode(*(v.numpy() for v in vectors))

    return record(model, size_wh, mmlab_decode.prepare(model), forward, decode, tuned)


def _pipeline(config: str) -> dict[str, np.ndarray]:
    """Return what mmpose finds in boxes of a picture, from the crop to pixels of the picture.

    ``sure`` says which keypoints stay where they are when there is noise in the picture, and when the boxes move a
    little: of random vectors, the two largest values may be nearly the same, and another version of OpenCV cuts crops
    out a little differently.
    """
    model = fill(mmlab.build(config), tuned)
    pipeline = Compose([s for s in mmlab.Config.fromfile(mmlab.CONFIGS / config).val_dataloader.dataset.pipeline
                        if s.type != "LoadImage"])
    meta = _meta(config)
    image = planted.picture()
    noise = np.random.default_rng(0).integers(-_NOISE, _NOISE + 1, image.shape)
    noisy = np.clip(image + noise, 0, 255).astype(np.uint8)

    def run(picture: np.ndarray, boxes: np.ndarray = planted.BOXES) -> tuple[np.ndarray, np.ndarray]:
        samples = [pipeline({"img": picture[..., ::-1].copy(), "img_id": 0, "img_path": "", "bbox": box[None],
                             "bbox_score": np.ones(1, np.float32), **meta}) for box in boxes]
        data = {key: [s[key] for s in samples] for key in ("inputs", "data_samples")}
        with torch.inference_mode():
            made = [d.pred_instances for d in model(**model.data_preprocessor(data, False), mode="predict")]
        return (np.concatenate([p.keypoints for p in made]).astype(np.float32),
                np.concatenate([p.keypoint_scores for p in made]).astype(np.float32))

    found = {}
    for kind in ("straight", "flipped"):
        model.test_cfg["flip_test"] = kind == "flipped"
        found[f"{kind}/keypoints"], found[f"{kind}/scores"] = run(image)
        others = [run(noisy)[0], *(run(image, planted.BOXES + np.float32(shift))[0] for shift in (-_SHIFT, _SHIFT))]
        moved = np.max([np.abs(k - found[f"{kind}/keypoints"]) for k in others], axis=(0, 3))
        found[f"{kind}/sure"] = moved < 2 * _SHIFT
    return found


def _decoders() -> dict[str, np.ndarray]:
    """Return what mmpose's codec finds in planted vectors: (N, K, 4) of x, y, score and visibility."""
    found = {}
    for sigma in planted.SIGMAS:
        _, x, y = planted.noisy_vectors(4, 17, (192, 256), sigma)
        for dark in (False, True):
            codec = SimCCLabel((192, 256), sigma=sigma, use_dark=dark)
            plain = SimCCLabel((192, 256), sigma=sigma, decode_visibility=True)
            # The decoder with use_dark writes into its input.
            rows = [codec.decode(a[None].copy(), b[None].copy()) for a, b in zip(x, y, strict=True)]
            visible = [plain.decode(a[None], b[None])[1][1] for a, b in zip(x, y, strict=True)]
            found[f"{'dark' if dark else 'none'}/{sigma[0]}"] = np.stack([
                np.concatenate([k[0], s.T, v.T], axis=1) for (k, s), v in zip(rows, visible, strict=True)
            ]).astype(np.float32)
    return found


def main() -> None:
    """Write ``simcc.npz`` beside this script."""
    torch.set_num_threads(1)
    cases = {name: _case(model.config, model.input_wh) for name, model in RUN.items()}
    for name, model in NAMED.items():
        cases[name] = {"state": names_and_shapes(mmlab.build(model.config))}
    cases["pipeline"] = _pipeline(RUN["rtmpose-t"].config)
    cases["decoders"] = _decoders()
    save(Path(__file__).with_name("simcc.npz"), cases)


if __name__ == "__main__":
    main()
