# SPDX-License-Identifier: Apache-2.0
"""A plugin takes the ONNX file of its network, whichever library reads it, and finds what it finds by PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pose_ros import registry
from pose_ros.models import cards
from pose_ros.networks import catalogue
from pose_ros.networks.export import export
from pose_ros.plugin import Model
from pose_ros.runtime import open_session

#: One of every architecture that is not too slow.
CARDS = ("deeppose-res50", "deeppose-res50-rle", "simplebaseline-res50", "hourglass52", "vitpose-s", "rtmpose-t-pth",
         "simcc-mobilenetv2", "rtmo-t-pth", "yolox-nano-pth", "rtmdet-nano-person-pth")


@pytest.mark.parametrize("name", CARDS)
def test_finds_the_same_by_every_library(name, tmp_path, rng):
    card = cards.get(name)
    torch.manual_seed(0)
    network = catalogue.build(card.network, card.input_wh)
    torch.save(network.state_dict(), tmp_path / "net.pt")
    export(network, card.input_wh, tmp_path / "net.onnx")
    image = rng.integers(0, 256, (240, 320, 3), np.uint8)
    regions = np.float32([[100, 120, 80, 160, 0], [220, 100, 90, 120, 0]])
    found = {}
    for runtime, file in (("torch", "net.pt"), ("onnxruntime", "net.onnx"), ("openvino", "net.onnx")):
        session = open_session(tmp_path / file, device="cpu", runtime=runtime, network=card.network,
                               input_wh=card.input_wh, outputs=card.outputs)
        made = registry.load(f"{card.kind}s", card.plugin)
        # Random weights are sure of nothing.
        options = made.Options(score_threshold=0.0) if hasattr(made.Options, "score_threshold") else None
        plugin = made(Model(card, session), options)
        if card.kind == "detector":
            found[runtime] = [plugin.detect(image).scores]
        else:
            poses = plugin.estimate(image, regions) if card.detector else plugin.estimate(image)
            found[runtime] = [poses.keypoints, poses.scores]
    for runtime in ("onnxruntime", "openvino"):
        for ours, theirs in zip(found[runtime], found["torch"], strict=True):
            # The order of equal scores, and of equal maxima of a random map, may be another.
            assert ours.shape == theirs.shape
            assert ours.size
            assert np.isclose(ours, theirs, atol=0.05, equal_nan=True).mean() > 0.9
