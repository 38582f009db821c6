# SPDX-License-Identifier: Apache-2.0
"""Choose a library and a device for a model file, and never another one than was asked for.

A device is ``auto``, ``cpu``, ``cuda[:N]``, ``tensorrt[:N]`` or ``openvino:NAME``. ``auto`` takes the first that works:
CUDA where onnxruntime has it, then the processor by OpenVINO, by onnxruntime or by LiteRT. It leaves TensorRT (minutes
of engine building) and Intel's GPUs (16-bit arithmetic) to those who ask for them.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from pose_ros.errors import DeviceError, ModelCorruptError, ModelError, ModelMissingError, PoseRosError
from pose_ros.runtime.batched import one_line
from pose_ros.runtime.session import Session, Settings

log = logging.getLogger(__name__)

_DEVICE = re.compile(r"auto|cpu|(cuda|tensorrt)(:\d+)?|openvino:[A-Za-z]+(\.\d+)?")
#: Library -> (module, class, how to get it), fastest on a processor first.
_RUNTIMES = {
    "openvino": ("openvino_session", "OpenVinoSession", "pip install openvino"),
    "onnxruntime": ("onnx_session", "OnnxSession", "pip install onnxruntime"),
    "litert": ("litert_session", "LiteRtSession", "pip install ai-edge-litert"),
    "torch": ("torch_session", "TorchSession", "pip install 'pose_ros[torch]'"),
}
_GPU = "pip install 'onnxruntime-gpu[cuda,cudnn]' in place of onnxruntime, on a machine with an NVIDIA GPU"


@dataclass(frozen=True)
class RuntimeInfo:
    """What is known about one library on this machine."""

    runtime: str
    #: None where it is absent or does not load.
    version: str | None
    #: What may be asked for as ``device``, such as ``cpu`` or ``cuda``.
    devices: tuple[str, ...] = ()
    #: File name endings that it reads.
    formats: tuple[str, ...] = ()
    #: What is missing and how to get it; empty when nothing is.
    missing: str = ""


def available() -> list[RuntimeInfo]:
    """Ask every library for its version and devices."""
    return [_info(name) for name in _RUNTIMES]


def _module(runtime: str) -> ModuleType:
    return importlib.import_module(f"pose_ros.runtime.{_RUNTIMES[runtime][0]}")


def _info(runtime: str) -> RuntimeInfo:
    module, how = _module(runtime), _RUNTIMES[runtime][2]
    try:
        version, devices = module.version(), module.devices()
    except ModuleNotFoundError:
        return RuntimeInfo(runtime, None, formats=module.FORMATS, missing=f"not installed: {how}")
    except Exception as error:  # a native library that does not load may raise anything
        problem = f"does not load ({type(error).__name__}: {one_line(error)}); try again: {how}"
        return RuntimeInfo(runtime, None, formats=module.FORMATS, missing=problem)
    missing = f"no NVIDIA GPU support: {_GPU}" if runtime == "onnxruntime" and "cuda" not in devices else ""
    return RuntimeInfo(runtime, version, devices, module.FORMATS, missing)


def open_session(path: Path | str, *, device: str = "auto", runtime: str = "auto", **how: Any) -> Session:
    """Open a model file.

    Args:
        path: An ``.onnx`` or ``.tflite`` file, or a checkpoint.
        device: See the top of this file. The session's ``device`` says where it really runs.
        runtime: ``auto``, ``onnxruntime``, ``openvino``, ``litert`` or ``torch``.
        how: Fields of :class:`pose_ros.runtime.session.Settings`.

    Raises:
        DeviceError: The device or runtime is not there, or cannot run such a file; the message says what can.
        ModelMissingError: There is no such file.
        ModelCorruptError: The file is not the model that its name promises.
        ModelError: It is, but the library cannot run it.
        UnknownNameError: The network has no such output.
    """
    path, settings = Path(path), Settings(**how)
    candidates = _candidates(path, device, runtime)
    _check_file(path)
    failures: list[PoseRosError] = []
    for name, place in candidates:
        try:
            session = _open(name, path, place, settings)
        except (DeviceError, ModelError) as error:
            failures.append(error)
            continue
        for failure in failures:
            log.warning("%s; using %s on %s", failure, session.runtime, session.device)
        return session
    raise failures[0]


def _candidates(path: Path, device: str, runtime: str) -> list[tuple[str, str]]:
    """Return (library, device) in the order to try; more than one only where ``auto`` leaves a choice."""
    if not _DEVICE.fullmatch(device):
        raise DeviceError(device, "expected auto, cpu, cuda[:N], tensorrt[:N] or openvino:NAME such as openvino:GPU")
    if runtime != "auto" and runtime not in _RUNTIMES:
        raise DeviceError(device, f"expected runtime auto, {' or '.join(_RUNTIMES)}; got '{runtime}'")
    kind = device.partition(":")[0]
    owner = {"cuda": "onnxruntime", "tensorrt": "onnxruntime", "openvino": "openvino"}.get(kind)
    if owner and runtime not in ("auto", owner):
        raise DeviceError(device, f"only {owner} runs on it, but the runtime asked for is '{runtime}'; "
                                  f"ask for runtime={owner} or device=cpu")
    asked = owner or runtime
    readers = [name for name in _RUNTIMES if path.suffix in _module(name).FORMATS]
    if not readers:
        raise ModelCorruptError(path.name, f"expected a file named .onnx or .tflite, got {path}")
    if asked not in ("auto", *readers):
        raise DeviceError(device, f"{asked} cannot read {path.suffix} files; {' and '.join(readers)} can, "
                                  f"on {'cpu' if owner else 'their devices'}")
    infos = {name: _info(name) for name in (readers if asked == "auto" else [asked])}
    here = {name: info for name, info in infos.items() if info.version}
    if not here:
        raise DeviceError(device, "; ".join(f"{name} {info.missing}" for name, info in infos.items()))
    if kind == "auto":
        gpu = [("onnxruntime", "cuda:0")] if "cuda" in here.get("onnxruntime", RuntimeInfo("", None)).devices else []
        return gpu + [(name, "cpu") for name, info in here.items() if "cpu" in info.devices]
    wanted = device if kind == "openvino" else kind
    able = [name for name, info in here.items() if wanted in _aliases(info.devices)]
    if not able:
        offers = "; ".join(f"{name} {info.version} offers {', '.join(info.devices)}" for name, info in here.items())
        how = "install the driver of that device" if kind == "openvino" else _GPU
        raise DeviceError(device, f"not available: {offers}. To get it: {how}")
    if kind in ("cuda", "tensorrt") and ":" not in device:
        device += ":0"
    return [(name, "cpu" if device == "openvino:CPU" else device) for name in able]


def _aliases(devices: Sequence[str]) -> set[str]:
    return {*devices, *(["openvino:CPU"] if "cpu" in devices else [])}


def _check_file(path: Path) -> None:
    """Refuse what is plainly no model, in words that a native library would not find."""
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ModelMissingError(path.name, f"expected a model file at {path}: {error.strerror}") from error
    # A FlatBuffer carries its kind in bytes 4 to 8; ONNX is protobuf, which has no mark, but no text starts like it.
    if len(head) < 8 or (path.suffix == ".tflite" and head[4:] != b"TFL3"):
        size = path.stat().st_size
        raise ModelCorruptError(path.name, f"expected a {path.suffix} model, got {size} bytes that begin with {head!r} "
                                           f"in {path}; fetch it again")


def _open(runtime: str, path: Path, device: str, settings: Settings) -> Session:
    try:
        session: Session = getattr(_module(runtime), _RUNTIMES[runtime][1])(path, device, settings)
    except PoseRosError:
        raise
    except Exception as error:  # each library has its own kinds of errors, native ones among them
        if device != "cpu":
            raise DeviceError(device, f"{runtime} cannot open {path.name} there: {one_line(error)}") from error
        raise ModelCorruptError(
            path.name, f"{runtime} cannot read {path}: {one_line(error)}. The file is cut off or damaged (fetch it "
                       f"again), or made for another version of {runtime} (try another runtime)"
        ) from error
    # Some files load and then do not run; and the first run is slow everywhere, so let it not be a camera's image.
    tensor = session.inputs[0]
    if -1 not in tensor.shape[1:]:
        session.run(np.zeros((1, *tensor.shape[1:]), tensor.dtype))
    return session
