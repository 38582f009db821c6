# SPDX-License-Identifier: Apache-2.0
"""Run .onnx files with onnxruntime, on processors and NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pose_ros import folders
from pose_ros.errors import DeviceError
from pose_ros.runtime.batched import BatchedSession, select
from pose_ros.runtime.onnx_cut import with_outputs
from pose_ros.runtime.session import Settings, Tensor

FORMATS = (".onnx",)
#: Kind of device -> what onnxruntime calls it.
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_DTYPES = {"float": "float32", "double": "float64"}
#: What computes in 16 bits where onnxruntime does not.
_REDUCED = {"cpu": "runtime=openvino", "cuda": "device=tensorrt"}
#: What a device that does not start most likely lacks.
_HOW = {
    "cuda": "its CUDA and cuDNN libraries are missing or of another version: pip install 'onnxruntime-gpu[cuda,cudnn]'",
    "tensorrt": "libnvinfer is missing or of another version: pip install tensorrt",
}


def version() -> str:
    """Return the version of the library; ImportError when it is absent."""
    import onnxruntime

    return str(onnxruntime.__version__)


def devices() -> tuple[str, ...]:
    """Return the kinds of devices that the installed library was built for."""
    import onnxruntime

    built = onnxruntime.get_available_providers()
    return tuple(kind for kind, provider in _PROVIDERS.items() if provider in built)


class OnnxSession(BatchedSession):
    """A network run by onnxruntime."""

    def __init__(self, path: Path, device: str, settings: Settings) -> None:
        """Load a file; see :func:`pose_ros.runtime.open_session`.

        Raises:
            DeviceError: The library cannot use the device.
        """
        import onnxruntime

        kind, _, index = device.partition(":")
        if settings.precision != "float32" and kind != "tensorrt":
            raise DeviceError(device, f"onnxruntime computes there as the file says, not in {settings.precision}; ask "
                                      f"for {_REDUCED[kind]}, or for precision=float32")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        # Threads that spin while they wait take whole cores from the other nodes of a robot.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Without enable_fallback=0, Python code of onnxruntime retries on the CPU when a provider fails.
        how = {"providers": _providers(kind, index or "0", settings.precision), "enable_fallback": False}
        session = onnxruntime.InferenceSession(str(path), options, **how)
        if set(settings.outputs) - {t.name for t in session.get_outputs()}:
            session = onnxruntime.InferenceSession(with_outputs(path, settings.outputs), options, **how)
        # A provider whose libraries do not load is left out with no more than a line in the log.
        if session.get_providers()[0] != _PROVIDERS[kind]:
            raise DeviceError(device, f"onnxruntime {onnxruntime.__version__} was built for it, but it does not start: "
                                      f"only {', '.join(session.get_providers())} did; {_HOW[kind]}")
        self._session = session
        self._options = onnxruntime.RunOptions()
        self._options.add_run_config_entry("only_execute_path_to_fetches", "1")
        inputs = [_tensor(t) for t in session.get_inputs()]
        name = settings.name or path.name
        found = select(name, [_tensor(t) for t in session.get_outputs()], settings.outputs)
        super().__init__(name, inputs, found, f"onnxruntime {onnxruntime.__version__}", device, most=settings.batch)

    def _infer(self, batch: np.ndarray, names: Sequence[str]) -> Sequence[np.ndarray]:
        return self._session.run(list(names), {self.inputs[0].name: batch}, self._options)


def _providers(kind: str, index: str, precision: str) -> list[tuple[str, dict[str, str]]]:
    """Return the provider of a device, and for TensorRT the one that takes what it leaves over."""
    if kind == "cpu":
        return [(_PROVIDERS[kind], {})]
    import onnxruntime

    if hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA and cuDNN may live in Python packages, where the linker does not look.
    # NVIDIA's GPUs would multiply 10-bit fractions where float32 was asked for.
    chain = [(_PROVIDERS["cuda"], {"device_id": index, "use_tf32": "0"})]
    if kind == "tensorrt":
        # Building an engine takes minutes: keep it.
        engines = folders.cache() / "tensorrt"
        engines.mkdir(parents=True, exist_ok=True)
        options = {"device_id": index, "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(engines)}
        if precision != "float32":
            options[{"float16": "trt_fp16_enable", "bfloat16": "trt_bf16_enable"}[precision]] = "1"
        chain.insert(0, (_PROVIDERS["tensorrt"], options))
    return chain


def _tensor(node: Any) -> Tensor:
    """Translate onnxruntime's description of an input or output."""
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(d if isinstance(d, int) else -1 for d in node.shape)
    return Tensor(node.name, shape, _DTYPES.get(kind, kind))
