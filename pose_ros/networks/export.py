# SPDX-License-Identifier: Apache-2.0
"""Turn a network of ours into an ONNX file with the same input and outputs."""

from __future__ import annotations

import copy
import importlib.util
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pose_ros.errors import ConfigError, PluginError
from pose_ros.networks import catalogue
from pose_ros.networks.checkpoint import read
from pose_ros.networks.network import Network

#: The only input, and the name of its axes that vary.
INPUT = "image"
#: Layer normalisation is one operator from here on; onnxruntime >= 1.18 and OpenVINO read it.
OPSET = 17
#: ``trace`` records one run (of what PyTorch calls TorchScript): HRNet-W32 takes it 3.5 s where ``dynamo``, which
#: analyses the Python code, takes 26 s. PyTorch calls ``trace`` deprecated and names no version that drops it.
EXPORTERS = ("trace", "dynamo")
_NEEDS = {"trace": ("onnx",), "dynamo": ("onnx", "onnxscript")}
#: The lowest that ``dynamo`` writes.
_DYNAMO_OPSET = 18
#: A protobuf cannot be larger; some room is left for the graph itself.
_MOST_BYTES = 2**31 - 2**24


def export(
    network: Network,
    input_wh: tuple[int, int],
    path: Path | str,
    *,
    opset: int = OPSET,
    precision: str = "float32",
    exporter: str = "trace",
) -> None:
    """Write a network as ONNX: input ``image`` (N, 3, H, W) of any N, outputs named as ``network.outputs``.

    H and W are any, too, where the network is for any size. Weights are inside the file, or in ``PATH.data`` beside it
    where they are more than the 2 GB that fit into one. The caller checks that the file does what the network does.

    Args:
        network: In evaluation mode; where its weights are does not matter. Not modified.
        input_wh: Width and height of the input.
        path: Where to write; its folder exists.
        opset: Version of the ONNX operators.
        precision: Of the arithmetic, ``float32`` or ``float16``; input and outputs are float32 always.
        exporter: One of :data:`EXPORTERS`.

    Raises:
        ConfigError: Precision or exporter is none of the known ones.
        PluginError: The package ``onnx`` (for ``dynamo``: and ``onnxscript``) is missing.
    """
    if exporter not in EXPORTERS:
        raise ConfigError("exporter", f"expected one of {', '.join(EXPORTERS)}, got '{exporter}'")
    if precision not in ("float32", "float16"):
        raise ConfigError("precision", f"expected float32 or float16, got '{precision}'")
    for package in _NEEDS[exporter]:
        if importlib.util.find_spec(package) is None:
            raise PluginError("export", f"it needs the package '{package}': pip install 'pose_ros[export]'")
    module = _Named(network, getattr(torch, precision)).eval()
    # Two subjects: a batch of one is a special case to some exporters.
    device = next(network.parameters()).device
    sample = torch.zeros((2, *network.input_shape(input_wh)), device=device)
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        # Deprecations, and constants that a trace takes for fixed: the caller's check of the outputs finds those.
        warnings.simplefilter("ignore")
        (_trace if exporter == "trace" else _dynamo)(module, sample, Path(path), opset)
        _declare_shapes(module, sample, Path(path))


def convert(
    checkpoint: Path, description: Mapping[str, Any], input_wh: tuple[int, int], path: Path, precision: str,
    exporter: str,
) -> bool:  # fmt: skip
    """Write a checkpoint as ONNX; see :func:`export`.

    Args:
        checkpoint: File of the weights.
        description: A card's ``network``.
        input_wh: The card's.
        path: Where to write.
        precision: See :func:`export`.
        exporter: See :func:`export`.

    Returns:
        Whether the network takes inputs of any size.

    Raises:
        ModelCorruptError: The file is no checkpoint of this network.
        ConfigError: The description does not fit the architecture.
    """
    network = catalogue.build(description, input_wh)
    network.load(read(checkpoint), checkpoint.name)
    export(network, input_wh, path, precision=precision, exporter=exporter)
    return network.any_size


class _Named(nn.Module):
    """A network with float32 outside, whatever it calculates with."""

    def __init__(self, network: Network, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self.dtype, self.changed = dtype, dtype != torch.float32
        if self.changed:
            self.network = copy.deepcopy(network).to(dtype)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        if not self.changed:
            return tuple(self.network(image))
        return tuple(output.float() for output in self.network(image.to(self.dtype)))


def _varying(module: _Named, sample: Tensor) -> dict[str, dict[int, str]]:
    """Return name -> axis -> name of the axis, of all axes that vary."""
    names = module.network.outputs
    if not module.network.any_size:
        return {name: {0: "batch"} for name in (INPUT, *names)}
    found = {INPUT: {0: "batch", 2: "height", 3: "width"}}
    for name, output in zip(names, module(sample), strict=True):
        found[name] = {0: "batch", **{axis: f"{name}_{axis}" for axis in range(2, output.ndim)}}
    return found


def _declare_shapes(module: _Named, sample: Tensor, path: Path) -> None:
    """Write into the file what is known of the outputs' shapes; exporters lose it behind a reshape."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    varying = _varying(module, sample)
    for output, value in zip(model.graph.output, module(sample), strict=True):
        for axis, size in enumerate(value.shape):
            if axis not in varying[output.name]:
                output.type.tensor_type.shape.dim[axis].dim_value = size
    onnx.save(model, path)


def _trace(module: _Named, sample: Tensor, path: Path, opset: int) -> None:
    large = sum(t.numel() * t.element_size() for t in module.state_dict().values()) > _MOST_BYTES
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as folder:
        # Of large weights PyTorch makes one file each, which are then joined.
        written = Path(folder) / path.name if large else path
        torch.onnx.export(
            module, (sample,), str(written), input_names=[INPUT], output_names=list(module.network.outputs),
            dynamic_axes=_varying(module, sample), opset_version=opset, dynamo=False,
        )  # fmt: skip
        if large:
            import onnx

            onnx.save_model(onnx.load(written), path, save_as_external_data=True, location=f"{path.name}.data")


def _dynamo(module: _Named, sample: Tensor, path: Path, opset: int) -> None:
    large = sum(t.numel() * t.element_size() for t in module.state_dict().values()) > _MOST_BYTES
    axes = dict.fromkeys(_varying(module, sample)[INPUT], torch.export.Dim.DYNAMIC)
    torch.onnx.export(
        module, (sample,), str(path), input_names=[INPUT], output_names=list(module.network.outputs),
        dynamic_shapes=(axes,), opset_version=max(opset, _DYNAMO_OPSET), dynamo=True, external_data=large,
        verbose=False,
    )  # fmt: skip
