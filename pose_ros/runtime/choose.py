# SPDX-License-Identifier: Apache-2.0
"""Choose a library and a device for a model file, and never another one than was asked for.

A device is ``auto``, ``cpu``, ``cuda[:N]``, ``tensorrt[:N]`` or ``openvino:NAME``. ``auto`` takes the first that works:
CUDA where the library that reads the file has it, then the processor by OpenVINO, by onnxruntime or by LiteRT, for
checkpoints by PyTorch, and for trees by NumPy. It leaves TensorRT (minutes of engine building) and Intel's GPUs to
those who ask for them.
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

from pose_ros import formats
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
    "numpy": ("trees_session", "TreesSession", "pip install numpy"),
}
#: Kind of device -> the libraries that run on it; all on the others.
_OWNERS = {"cuda": ("onnxruntime", "torch"), "tensorrt": ("onnxruntime",), "openvino": ("openvino",)}
#: How to get CUDA.
_GPU = {
    "onnxruntime": "pip install 'onnxruntime-gpu[cuda,cudnn]' in place of onnxruntime, on a machine with an NVIDIA GPU",
    "torch": "a PyTorch that was built for CUDA, on a machine with an NVIDIA GPU",
}


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
    missing = f"no NVIDIA GPU support: {_GPU[runtime]}" if runtime in _GPU and "cuda" not in devices else ""
    return RuntimeInfo(runtime, version, devices, module.FORMATS, missing)


def open_session(
    path: Path | str, *, device: str = "auto", runtime: str = "auto", prefer: str = "", **how: Any
) -> Session:
    """Open a model file.

    Args:
        path: An ``.onnx`` or ``.tflite`` file, or a checkpoint.
        device: See the top of this file. The session's ``device`` says where it really runs.
        runtime: ``auto``, ``onnxruntime``, ``openvino``, ``litert``, ``torch`` or ``numpy``.
        prefer: The library that runs this network fastest on a processor, if it is not the usual one; only ``auto``
            minds it.
        how: Fields of :class:`pose_ros.runtime.session.Settings`.

    Raises:
        DeviceError: The device or runtime is not there, or cannot run such a file; the message says what can.
        ModelMissingError: There is no such file.
        ModelCorruptError: The file is not the model that its name promises.
        ModelError: It is, but the library cannot run it.
        UnknownNameError: The network has no such output.
    """
    path, settings = Path(path), Settings(**how)
    name = settings.name or path.name
    candidates = _candidates(path, device, runtime, name)
    candidates.sort(key=lambda candidate: candidate[1] == "cpu" and candidate[0] != prefer)
    try:
        formats.check(path, model=name)
    except OSError as error:
        raise ModelMissingError(name, f"expected a model file at {path}: {error.strerror}") from error
    failures: list[PoseRosError] = []
    for library, place in candidates:
        try:
            session = _open(library, path, place, settings)
        except (DeviceError, ModelError) as error:
            failures.append(error)
            continue
        for failure in failures:
            log.warning("%s; using %s on %s", failure, session.runtime, session.device)
        return session
    raise failures[0]


def check(path: Path | str, *, device: str = "auto", runtime: str = "auto", name: str = "") -> None:
    """Check that something here can open such a file, which need not exist yet: only how it is named counts.

    Raises:
        DeviceError: As :func:`open_session`.
        ModelCorruptError: No library reads files of that name.
    """
    _candidates(Path(path), device, runtime, name or Path(path).name)


def _candidates(path: Path, device: str, runtime: str, name: str) -> list[tuple[str, str]]:
    """Return (library, device) in the order to try; more than one only where ``auto`` leaves a choice."""
    if not _DEVICE.fullmatch(device):
        raise DeviceError(device, "expected auto, cpu, cuda[:N], tensorrt[:N] or openvino:NAME such as openvino:GPU")
    if runtime != "auto" and runtime not in _RUNTIMES:
        raise DeviceError(device, f"expected runtime auto, {' or '.join(_RUNTIMES)}; got '{runtime}'")
    kind = device.partition(":")[0]
    readers = [library for library in _RUNTIMES if path.suffix in _module(library).FORMATS]
    if not readers:
        known = " ".join((*formats.NETWORKS, *formats.CHECKPOINTS, *formats.CASCADES))
        raise ModelCorruptError(name, f"expected a file that ends in {known}, got {path}")
    owners = _OWNERS.get(kind, tuple(_RUNTIMES))
    able = [library for library in readers if library in owners]
    asked = [library for library in able if runtime in ("auto", library)]
    if not asked and able and runtime not in owners:
        raise DeviceError(device, f"only {' and '.join(able)} runs on it, but the runtime asked for is '{runtime}'; "
                                  f"ask for runtime={able[0]} or device=cpu")
    if not asked:
        unable = " and ".join(owners) if runtime == "auto" else runtime
        how = (f"export it first: pose-ros models export {name}" if path.suffix in formats.CHECKPOINTS else
               f"ask for one of them on device={'cpu' if kind in _OWNERS else kind}")
        raise DeviceError(device, f"{unable} cannot read {path.suffix} files; {' and '.join(readers)} can; {how}")
    infos = {library: _info(library) for library in asked}
    here = {library: info for library, info in infos.items() if info.version}
    if not here:
        raise DeviceError(device, "; ".join(f"{library} {info.missing}" for library, info in infos.items()))
    if kind == "auto":
        gpu = [(library, "cuda:0") for library in here if library in _GPU and "cuda" in here[library].devices]
        return gpu + [(library, "cpu") for library, info in here.items() if "cpu" in info.devices]
    wanted = device if kind == "openvino" else kind
    able = [library for library, info in here.items() if wanted in _aliases(info.devices)]
    if not able:
        offers = "; ".join(f"{each} {info.version} offers {', '.join(info.devices)}" for each, info in here.items())
        how = "install the driver of that device" if kind == "openvino" else "; or ".join(_GPU[each] for each in here)
        raise DeviceError(device, f"not available: {offers}. To get it: {how}")
    if kind in ("cuda", "tensorrt") and ":" not in device:
        device += ":0"
    return [(library, "cpu" if device == "openvino:CPU" else device) for library in able]


def _aliases(devices: Sequence[str]) -> set[str]:
    return {*devices, *(["openvino:CPU"] if "cpu" in devices else [])}


def _open(runtime: str, path: Path, device: str, settings: Settings) -> Session:
    try:
        session: Session = getattr(_module(runtime), _RUNTIMES[runtime][1])(path, device, settings)
    except PoseRosError:
        raise
    except Exception as error:  # each library has its own kinds of errors, native ones among them
        name = settings.name or path.name
        if device != "cpu":
            raise DeviceError(device, f"{runtime} cannot open {name} there: {one_line(error)}") from error
        made_for = f", made for {formats.onnx_versions(path)}" if path.suffix == ".onnx" else ""
        raise ModelCorruptError(
            name, f"{runtime} {_info(runtime).version} cannot read {path}{made_for}: {one_line(error)}. It is cut off "
                  f"or damaged (fetch it again), or made for another version of {runtime} (pip install --upgrade "
                  f"{runtime}, or try another runtime)"
        ) from error
    # Some files load and then do not run; and the first run is slow everywhere, so let it not be a camera's image.
    tensor = session.inputs[0]
    if -1 not in tensor.shape[1:]:
        session.run(np.zeros((1, *tensor.shape[1:]), tensor.dtype))
    return session
