# SPDX-License-Identifier: Apache-2.0
"""Networks as ONNX files: same names, any batch, same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pose_ros.errors import ConfigError, PluginError
from pose_ros.networks import export as exporting
from pose_ros.networks.export import export
from pose_ros.networks.network import Network
from pose_ros.runtime import open_session

SIZE = (48, 64)


class Small(Network):
    """Has what exporters trip over: two outputs, layer normalisation over reshaped maps, transposed convolution."""

    outputs = ("heatmaps", "tags")

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.norm = nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8)
        self.tokens, self.head = nn.LayerNorm(8), nn.ConvTranspose2d(8, 5, 4, 2, 1)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = self.norm(self.stem(image)).relu()
        tokens = self.tokens(maps.flatten(2).transpose(1, 2))
        return self.head(tokens.transpose(1, 2).reshape(maps.shape)), maps


class Coordinates(Small):
    """Ends with what exporters forget the shape behind."""

    outputs = ("keypoints",)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = super().forward(image)[0]
        return (maps.mean((2, 3))[:, :4].unflatten(1, (2, -1)).sigmoid(),)


class AnySize(Small):
    any_size = True


def images(count: int, size_wh: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(count, 3, *size_wh[::-1])).astype(np.float32)


def difference(network: Network, path: Path, batch: np.ndarray) -> float:
    """Return the greatest difference relative to the greatest value of an output."""
    with torch.inference_mode():
        expected = network(torch.from_numpy(batch))
    found = open_session(path, device="cpu", runtime="onnxruntime").run(batch)
    assert tuple(found) == network.outputs
    return max(
        float(np.abs(found[name] - value.numpy()).max() / value.abs().max())
        for name, value in zip(network.outputs, expected, strict=True)
    )


@pytest.mark.parametrize("exporter", exporting.EXPORTERS)
def test_file_says_the_shapes_of_its_outputs(tmp_path, exporter):
    export(Coordinates().eval(), SIZE, tmp_path / "net.onnx", exporter=exporter)
    (output,) = open_session(tmp_path / "net.onnx", device="cpu", runtime="onnxruntime").outputs
    assert (output.name, output.shape) == ("keypoints", (-1, 2, 2))


@pytest.mark.parametrize("exporter", exporting.EXPORTERS)
def test_file_does_what_the_network_does_for_any_batch(tmp_path, exporter):
    network, path = Small().eval(), tmp_path / "small.onnx"
    export(network, SIZE, path, exporter=exporter)
    assert open_session(path, device="cpu", runtime="onnxruntime").inputs[0].name == "image"
    assert max(difference(network, path, images(n)) for n in (1, 2, 4)) < 1e-5
    assert [p.name for p in tmp_path.iterdir()] == ["small.onnx"]


def test_network_for_any_size_stays_so(tmp_path):
    network, path = AnySize().eval(), tmp_path / "any.onnx"
    export(network, SIZE, path)
    assert max(difference(network, path, images(n, wh)) for n in (1, 3) for wh in (SIZE, (96, 32))) < 1e-5


def test_half_precision_keeps_float32_outside_and_the_network_as_it_was(tmp_path):
    network, path = Small().eval(), tmp_path / "half.onnx"
    export(network, SIZE, path, precision="float16")
    session = open_session(path, device="cpu", runtime="onnxruntime")
    assert {t.dtype for t in (*session.inputs, *session.outputs)} == {"float32"}
    assert 1e-5 < difference(network, path, images(4)) < 5e-3
    assert next(network.parameters()).dtype == torch.float32


def test_weights_too_large_for_one_file_go_beside_it(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting, "_MOST_BYTES", 100)
    write = torch.onnx.export

    def scatter(module, args, path, **how):
        """Leave files of single weights beside the network, as PyTorch does beyond 2 GB."""
        write(module, args, path, **how)
        Path(path).with_name("network.head.weight").touch()

    monkeypatch.setattr(torch.onnx, "export", scatter)
    network, path = Small().eval(), tmp_path / "large.onnx"
    export(network, SIZE, path)
    assert {p.name for p in tmp_path.iterdir()} == {"large.onnx", "large.onnx.data"}
    assert difference(network, path, images(2)) < 1e-5


def test_missing_package_and_unknown_choice_are_named(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="expected one of trace, dynamo, got 'magic'"):
        export(Small(), SIZE, tmp_path / "x.onnx", exporter="magic")
    with pytest.raises(ConfigError, match="expected float32 or float16, got 'int4'"):
        export(Small(), SIZE, tmp_path / "x.onnx", precision="int4")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"needs the package 'onnx': pip install 'pose_ros\[export\]'"):
        export(Small(), SIZE, tmp_path / "x.onnx")
    assert not list(tmp_path.iterdir())
