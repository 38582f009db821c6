# SPDX-License-Identifier: Apache-2.0
"""Run .onnx and .tflite files with OpenVINO, on processors and Intel's GPUs and NPUs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros.runtime.batched import BatchedSession, select
from pose_ros.runtime.session import Tensor

if TYPE_CHECKING:
    import openvino

FORMATS = (".onnx", ".tflite")


def version() -> str:
    """Return the version of the library; ImportError when it is absent."""
    import openvino

    return str(openvino.__version__).partition("-")[0]


def devices() -> tuple[str, ...]:
    """Return the devices of this machine: ``cpu``, ``openvino:GPU``, ``openvino:GPU.1``, ``openvino:NPU`` ..."""
    return tuple("cpu" if d == "CPU" else f"openvino:{d}" for d in _core().available_devices)


@cache
def _core() -> openvino.Core:
    import openvino

    return openvino.Core()


class OpenVinoSession(BatchedSession):
    """A network compiled by OpenVINO for one subject at a time, and run once per subject.

    That is the fastest for one subject, and never compiles anew because their number changed. On two cores, neither
    batches nor parallel requests were faster for five (``benchmarks/runtimes.py``); the latter need a second copy.
    """

    def __init__(self, path: Path, device: str, threads: int, outputs: Sequence[str]) -> None:
        """Load a file; see :func:`pose_ros.runtime.open_session`."""
        import openvino

        model = _core().read_model(path)
        inputs = [_tensor(port) for port in model.inputs]
        found = select(path.name, [_tensor(port) for port in model.outputs], outputs)
        super().__init__(path.name, inputs, found, f"openvino {version()}", device, single=True)
        if outputs:
            # What only serves other outputs is no part of the new model.
            results = [model.output(name).get_node().input_value(0) for name in outputs]
            model = openvino.Model(results, model.get_parameters(), path.stem)
        if inputs[0].shape[0] == -1:
            model.reshape([1, *inputs[0].shape[1:]])
        name = device.rpartition(":")[2].upper()
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if name == "CPU":
            # Some processors would compute in bfloat16 or float16; the landmarks would depend on the machine.
            settings["INFERENCE_PRECISION_HINT"] = "f32"
            if threads:
                settings["INFERENCE_NUM_THREADS"] = threads
        self._request = _core().compile_model(model, name, settings).create_infer_request()
        self._index = {tensor.name: i for i, tensor in enumerate(self.outputs)}

    def _infer(self, batch: np.ndarray, names: Sequence[str]) -> Sequence[np.ndarray]:
        self._request.infer([batch], share_inputs=True, share_outputs=True)
        # The request overwrites its outputs in the next run.
        return [self._request.get_output_tensor(self._index[name]).data.copy() for name in names]


def _tensor(port: openvino.Output) -> Tensor:
    """Translate OpenVINO's description of an input or output."""
    shape = tuple(-1 if d.is_dynamic else d.get_length() for d in port.get_partial_shape())
    return Tensor(port.get_any_name(), shape, port.get_element_type().to_dtype().name)
