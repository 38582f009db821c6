# SPDX-License-Identifier: Apache-2.0
"""Run .onnx and .tflite files with OpenVINO, on processors and Intel's GPUs and NPUs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros.errors import DeviceError
from pose_ros.runtime.batched import BatchedSession, select
from pose_ros.runtime.onnx_cut import with_outputs
from pose_ros.runtime.session import Settings, Tensor

if TYPE_CHECKING:
    import openvino

FORMATS = (".onnx", ".tflite")
#: Precision -> what OpenVINO calls it: among the capabilities of a device, and as a hint.
_PRECISIONS = {"float32": ("FP32", "f32"), "float16": ("FP16", "f16"), "bfloat16": ("BF16", "bf16")}


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
    """A network compiled by OpenVINO for one subject at a time.

    One subject gets all processors at once, which is the fastest for one. Several run two at a time on half of them
    each, which takes less processor time than one after the other or a whole batch (``benchmarks/runtimes.py``) and
    never compiles anew because their number changed; the last of an odd number gets all processors again. This second
    form of the network is compiled in the background when there are several for the first time; until it is ready they
    run one after the other, unless ``exact`` asks to wait for it: its results need not have the same last bits on every
    processor.
    """

    def __init__(self, path: Path, device: str, settings: Settings) -> None:
        """Load a file; see :func:`pose_ros.runtime.open_session`.

        Raises:
            DeviceError: The device cannot compute in that precision.
        """
        import openvino

        name, threads, outputs = settings.name or path.name, settings.threads, settings.outputs
        self._place = device.rpartition(":")[2].upper()
        capability, hint = _PRECISIONS[settings.precision]
        able = _core().get_property(self._place, "OPTIMIZATION_CAPABILITIES")
        if capability not in able:
            offers = " or ".join(precision for precision, (word, _) in _PRECISIONS.items() if word in able)
            raise DeviceError(device, f"cannot compute in {settings.precision}; ask for precision={offers}")
        model = _core().read_model(path)
        if path.suffix == ".onnx" and set(outputs) - {name for port in model.outputs for name in port.names}:
            model = _core().read_model(with_outputs(path, outputs), b"")
        inputs = [_tensor(port) for port in model.inputs]
        found = select(name, [_tensor(port) for port in model.outputs], outputs)
        super().__init__(name, inputs, found, f"openvino {version()}", device, most=1)
        if outputs:
            # What only serves other outputs is no part of the new model.
            results = [model.output(name).get_node().input_value(0) for name in outputs]
            model = openvino.Model(results, model.get_parameters(), path.stem)
        if inputs[0].shape[0] == -1:
            model.reshape([1, *inputs[0].shape[1:]])
        self._model = model
        # Left alone, each device takes what it likes best; the landmarks would depend on the machine.
        self._settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": hint}
        if self._place == "CPU" and threads:
            self._settings["INFERENCE_NUM_THREADS"] = threads
        self._index = {tensor.name: i for i, tensor in enumerate(self.outputs)}
        self._request = self._compile("LATENCY", 1)[0]
        self._can_pair = self._place == "CPU" and (threads or len(os.sched_getaffinity(0))) > 1
        self._exact = settings.exact
        self._pair: Future[list[openvino.InferRequest]] | None = None

    def _compile(self, hint: str, streams: int) -> list[openvino.InferRequest]:
        """Return requests that can run at the same time."""
        settings = {**self._settings, "PERFORMANCE_HINT": hint}
        if streams > 1:
            settings["NUM_STREAMS"] = streams
        compiled = _core().compile_model(self._model, self._place, settings)
        return [compiled.create_infer_request() for _ in range(streams)]

    def _infer(self, batch: np.ndarray, names: Sequence[str]) -> Sequence[np.ndarray]:
        batch = _give(self._request, batch)
        self._request.infer(None, share_outputs=True)
        return self._read(self._request, names)

    def _infer_each(self, parts: Sequence[np.ndarray], names: Sequence[str]) -> Sequence[Sequence[np.ndarray]]:
        if len(parts) == 1 or not self._can_pair:
            return super()._infer_each(parts, names)
        if self._pair is None:
            executor = ThreadPoolExecutor(1, "compile")
            self._pair = executor.submit(self._compile, "THROUGHPUT", 2)
            executor.shutdown(wait=False)
        if not self._exact and not self._pair.done():
            return super()._infer_each(parts, names)
        pair, rows, given = self._pair.result(), [], []
        # An odd one out would leave half of the processors idle.
        even = len(parts) // 2 * 2
        try:
            for i, part in enumerate(parts[:even]):
                if i >= 2:
                    rows.append(self._read(pair[i % 2], names))
                given.append(_give(pair[i % 2], part))
                pair[i % 2].start_async(None)
            rows += [self._read(request, names) for request in pair]
        finally:
            for request in pair:  # after an error the other one must not be found busy
                request.wait()
        return rows + [self._infer(part, names) for part in parts[even:]]

    def _read(self, request: openvino.InferRequest, names: Sequence[str]) -> list[np.ndarray]:
        request.wait()
        # The request overwrites its outputs in the next run.
        return [request.get_output_tensor(self._index[name]).data.copy() for name in names]


def _give(request: openvino.InferRequest, batch: np.ndarray) -> np.ndarray:
    """Let a request read an array where it is, and return that array: it has to live until the request has run.

    Handed over with the call, it would pass many hands.
    """
    import openvino

    batch = np.ascontiguousarray(batch)
    request.set_input_tensor(openvino.Tensor(batch, shared_memory=True))
    return batch


def _tensor(port: openvino.Output) -> Tensor:
    """Translate OpenVINO's description of an input or output."""
    shape = tuple(-1 if d.is_dynamic else d.get_length() for d in port.get_partial_shape())
    return Tensor(port.get_any_name(), shape, port.get_element_type().to_dtype().name)
