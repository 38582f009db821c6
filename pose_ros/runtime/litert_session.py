# SPDX-License-Identifier: Apache-2.0
"""Run .tflite files with LiteRT, the library that MediaPipe itself uses, on processors."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros.errors import DeviceError
from pose_ros.runtime.batched import BatchedSession, select
from pose_ros.runtime.session import Settings, Tensor

FORMATS = (".tflite",)


def version() -> str:
    """Return the version of the library; ImportError when it is absent."""
    import ai_edge_litert.interpreter  # noqa: F401 - the package alone does not show whether its library loads

    return metadata.version("ai-edge-litert")


def devices() -> tuple[str, ...]:
    """Return the kinds of devices."""
    return ("cpu",)


class LiteRtSession(BatchedSession):
    """A network run by LiteRT. It computes all outputs of the file, wanted or not."""

    def __init__(self, path: Path, device: str, settings: Settings) -> None:
        """Load a file; see :func:`pose_ros.runtime.open_session`.

        Raises:
            DeviceError: The library cannot compute in that precision.
        """
        from ai_edge_litert.interpreter import Interpreter

        if settings.precision != "float32":
            raise DeviceError(device, f"litert computes as the file says, not in {settings.precision}; ask for "
                                      "runtime=openvino, or for precision=float32")

        # Left alone, LiteRT uses one thread.
        threads = settings.threads or len(os.sched_getaffinity(0))
        self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
        self._interpreter.allocate_tensors()
        inputs, found = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        name = settings.name or path.name
        selected = select(name, [_tensor(d) for d in found], settings.outputs)
        # A batch that may vary stands at 1 after loading and is left there.
        super().__init__(name, [_tensor(d) for d in inputs], selected, f"litert {version()}", device, most=1)
        self._input = inputs[0]["index"]
        self._index = {d["name"]: d["index"] for d in found}

    def _infer(self, batch: np.ndarray, names: Sequence[str]) -> Sequence[np.ndarray]:
        self._interpreter.set_tensor(self._input, batch)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(self._index[name]) for name in names]


def _tensor(detail: Mapping[str, Any]) -> Tensor:
    """Translate LiteRT's description of an input or output."""
    shape = detail["shape_signature"] if len(detail["shape_signature"]) else detail["shape"]
    return Tensor(detail["name"], tuple(int(d) for d in shape), np.dtype(detail["dtype"]).name)
