# SPDX-License-Identifier: Apache-2.0
"""Checkpoints run by PyTorch as files of networks do: any batch, named outputs, and the device that was asked for."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
import torch

from pose_ros import errors
from pose_ros.errors import ConfigError, DeviceError, ModelCorruptError, UnknownNameError
from pose_ros.networks import catalogue
from pose_ros.networks.network import Network
from pose_ros.runtime import available, choose, open_session, torch_session


class Tiny(Network):
    """Doubles the colours, and sums them; ``sizes`` are the batches that came."""

    outputs = ("double", "sum")
    sizes: list[int] = []  # noqa: RUF012

    def __init__(self, factor: int = 2) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 3, 1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        Tiny.sizes.append(len(image))
        y = self.conv(image)
        return y, y.sum((2, 3))


class Wide(Tiny):
    any_size = True

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        y, _ = super().forward(image)
        return y, y


@pytest.fixture
def path(tmp_path, monkeypatch) -> Path:
    """A checkpoint of Tiny whose convolution doubles."""
    monkeypatch.setattr(catalogue, "ARCHITECTURES", {"tiny": f"{__name__}:Tiny", "wide": f"{__name__}:Wide"})
    weight = 2 * torch.eye(3).reshape(3, 3, 1, 1)
    torch.save({"state_dict": {"conv.weight": weight, "conv.bias": torch.zeros(3)}}, tmp_path / "tiny.pth")
    return tmp_path / "tiny.pth"


def opened(path: Path, architecture: str = "tiny", **how):
    Tiny.sizes.clear()
    return open_session(path, network={"architecture": architecture}, input_wh=(4, 5), **how)


def test_description(path):
    session = opened(path, name="my-net")
    assert [(t.name, t.shape, t.dtype) for t in session.inputs] == [("image", (-1, 3, 5, 4), "float32")]
    assert [(t.name, t.shape) for t in session.outputs] == [("double", (-1, 3, 5, 4)), ("sum", (-1, 3))]
    assert (session.name, session.device) == ("my-net", "cpu")
    assert session.runtime == f"torch {torch.__version__}"
    wide = opened(path, "wide", outputs=["double"])
    assert wide.inputs[0].shape == (-1, 3, -1, -1)
    assert [(t.name, t.shape) for t in wide.outputs] == [("double", (-1, 3, -1, -1))]
    assert wide.run(np.ones((2, 3, 7, 9), np.float32))["double"].shape == (2, 3, 7, 9)
    assert wide.run(np.ones((0, 3, 7, 9), np.float32))["double"].shape == (0, 3, 0, 0)


@pytest.mark.parametrize(("batch", "n", "sizes"), [
    (0, 5, [5]), (0, 1, [1]), (2, 5, [2, 2, 1]), (2, 4, [2, 2]), (1, 3, [1, 1, 1]), (8, 3, [3]), (2, 0, []),
])  # fmt: skip
def test_batches_of_a_chosen_size(path, rng, batch, n, sizes):
    session = opened(path, batch=batch)
    Tiny.sizes.clear()
    images = rng.normal(size=(n, 3, 5, 4)).astype(np.float32)
    found = session.run(images)
    assert Tiny.sizes == sizes
    np.testing.assert_array_equal(found["double"], 2 * images)
    np.testing.assert_allclose(found["sum"], 2 * images.sum((2, 3)), atol=1e-5)
    assert list(session.run(images, ["sum"])) == ["sum"]


def test_half_precision(path, rng):
    images = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    if torch_session._fast("bfloat16"):
        found = opened(path, precision="bfloat16").run(images)["double"]
        assert found.dtype == np.float32
        assert 0 < np.abs(found - 2 * images).max() < 2**-7 * np.abs(2 * images).max()
    if not torch_session._fast("float16"):
        with pytest.raises(DeviceError, match="'cpu': this processor has no arithmetic in float16, and torch would be "
                                              "tens of times slower than with float32; ask for precision=float32"):
            opened(path, precision="float16")


def test_float16_runs_where_the_processor_has_it(path, monkeypatch, rng):
    monkeypatch.setattr(torch_session, "_fast", lambda precision: True)
    images = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    found = opened(path, precision="float16").run(images)["double"]
    assert 0 < np.abs(found - 2 * images).max() < 2**-10 * np.abs(2 * images).max()


def test_threads_are_those_of_the_whole_process(path):
    before = torch.get_num_threads()
    with contextlib.ExitStack() as stack:
        stack.callback(torch.set_num_threads, before)
        opened(path, threads=1)
        assert torch.get_num_threads() == 1
        opened(path)
        assert torch.get_num_threads() == 1


@pytest.mark.parametrize(("how", "problem"), [
    ({"device": "tensorrt"}, "'tensorrt': onnxruntime cannot read .pth files; torch can; export it first: pose-ros "
                             "models export my-net"),
    ({"device": "openvino:GPU"}, "'openvino:GPU': openvino cannot read .pth files; torch can; export it first: pose-r"),
    ({"runtime": "onnxruntime"}, "'auto': onnxruntime cannot read .pth files; torch can; export it first: pose-ros"),
    ({"runtime": "litert", "device": "cpu"}, "'cpu': litert cannot read .pth files; torch can; export it first"),
    ({"runtime": "onnxruntime", "device": "cuda"}, "'cuda': onnxruntime cannot read .pth files; torch can; export it"),
    ({"runtime": "openvino", "device": "cuda"}, "'cuda': only torch runs on it, but the runtime asked for is 'openvi"),
])  # fmt: skip
def test_what_runs_no_checkpoint_says_how_it_would(path, how, problem):
    with pytest.raises(DeviceError, match=problem):
        opened(path, name="my-net", **how)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_absent_gpu_is_an_error(path):
    with pytest.raises(DeviceError, match=r"'cuda': not available: torch [\d.]+\S* offers cpu. To get it: a PyTorch "
                                          r"that was built for CUDA, on a machine with an NVIDIA GPU"):
        opened(path, device="cuda")


@pytest.mark.parametrize(("device", "expected"), [("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"),
                                                  ("cpu", "cpu")])
def test_a_gpu_is_used_where_there_is_one(path, monkeypatch, device, expected):
    used = []
    monkeypatch.setattr(torch_session, "devices", lambda: ("cpu", "cuda"))
    monkeypatch.setattr(torch_session, "TorchSession", lambda path, device, settings: used.append(device) or _Fake())
    opened(path, device=device)
    assert used == [expected]


class _Fake:
    def __init__(self) -> None:
        from pose_ros.runtime import Tensor

        self.inputs = (Tensor("image", (-1, 3, -1, -1)),)


def test_auto_goes_on_to_the_processor_when_the_gpu_does_not_start(path, monkeypatch, caplog):
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    monkeypatch.setattr(torch_session, "devices", lambda: ("cpu", "cuda"))
    assert opened(path).device == "cpu"
    assert "'cuda:0': torch cannot open tiny.pth there" in caplog.text
    assert "using torch" in caplog.text


def test_without_pytorch(path, monkeypatch):
    def absent():
        raise ModuleNotFoundError

    monkeypatch.setattr(torch_session, "version", absent)
    assert {i.runtime: i for i in available()}["torch"].missing == "not installed: pip install 'pose_ros[torch]'"
    with pytest.raises(DeviceError, match=r"torch not installed: pip install 'pose_ros\[torch\]'"):
        opened(path)


def test_only_checkpoints_load_pytorch(tmp_path, monkeypatch):
    import onnx_file

    monkeypatch.setattr(torch_session, "version", lambda: pytest.fail("asked"))
    open_session(onnx_file.write(tmp_path / "tiny.onnx"))
    assert choose._candidates(tmp_path / "tiny.onnx", "cpu", "auto", "tiny")


@pytest.mark.parametrize(("network", "error", "message"), [
    ({"architecture": "tinny"}, "UnknownNameError", "unknown architecture 'tinny'; did you mean 'tiny'"),
    ({"architecture": "tiny", "factr": 2}, "ConfigError", r"'tiny' takes \(factor: 'int' = 2\), got \{'factr': 2\}"),
    ({"architecture": "tiny", "factor": 2.5}, "ConfigError", r"network\.factor: expected int, got float 2\.5"),
])  # fmt: skip
def test_description_that_does_not_fit(path, network, error, message):
    with pytest.raises(getattr(errors, error), match=message):
        open_session(path, network=network, input_wh=(4, 5))


def test_output_that_does_not_exist(path):
    with pytest.raises(UnknownNameError, match=r"output of model 'tiny.pth' 'dubble'; did you mean 'double'"):
        opened(path, outputs=["dubble"])


def test_network_that_cannot_be_built(path, monkeypatch):
    monkeypatch.setattr(Tiny, "__init__", lambda self, factor=2: [][factor])
    with pytest.raises(ConfigError, match=r"architecture 'tiny' cannot be built from \{\}: list index out of range"):
        opened(path)


def test_checkpoint_of_another_network(path):
    torch.save({"conv.weight": torch.ones(3, 3, 1, 1), "bn.bias": torch.ones(3)}, path)
    with pytest.raises(ModelCorruptError, match=r"expected a checkpoint of Tiny with 2 tensors, got 2 that do not fit: "
                                                r"bn.bias is not known; conv.bias is missing. Check the card's"):
        opened(path)
