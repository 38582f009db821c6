# SPDX-License-Identifier: Apache-2.0
"""Read checkpoints without running anything that is in them."""

from __future__ import annotations

import re
import threading
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pose_ros import formats
from pose_ros.errors import ModelCorruptError

#: Where the weights are in what people save, the best ones first. Wrapped more than once by some.
_INSIDE = (
    "state_dict", "model_state_dict", "model", "ema", "state_dict_ema", "ema_state_dict", "module", "net", "network",
    "weights", "params", "pose", "model_pos",
)  # fmt: skip
#: PyTorch keeps the names that may be read in one place for all threads.
_reading = threading.Lock()


class _Ignored:
    """Stands for an object that training left beside the weights; knows nothing and does nothing."""

    def __new__(cls, *_: object, **__: object) -> _Ignored:
        return object.__new__(cls)

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


class _Filled:
    """Makes what stands for a dictionary of settings, such as the CfgNode of yacs: PyTorch fills only its own kinds."""

    def __new__(cls, *_: object, **__: object) -> OrderedDict[Any, Any]:  # type: ignore[misc]
        return OrderedDict()


def _list(*_: object) -> list[Any]:
    return []


def _dict(*_: object) -> dict[Any, Any]:
    return {}


#: What may be filled after it was made has to be something that can be filled.
_STANDS_FOR = {"collections.defaultdict": _dict, "collections.deque": _list}
#: Classes that are dictionaries, by the ends of their names: those of yacs, easydict, addict, mmengine and Lightning.
_DICTIONARY = re.compile(r"(yacs|easydict|addict|mmengine|mmcv|(pytorch_)?lightning)\..*(CfgNode|Dict)")


def read(path: Path) -> Mapping[str, Tensor]:
    """Return the state dict of a checkpoint.

    PyTorch's own file (a zip, or the older pickle), safetensors and Caffe's .caffemodel are read. Weights are searched
    under the usual keys; what is no tensor is left out.

    Args:
        path: A file that :func:`pose_ros.formats.check` has let pass.

    Raises:
        ModelCorruptError: The file is cut off, asks to run code, or holds no weights.
    """
    found: Any = content(path)
    top = found
    while isinstance(found, Mapping) and not any(isinstance(value, Tensor) for value in found.values()):
        found = next((found[key] for key in _INSIDE if isinstance(found.get(key), Mapping) and found[key]), None)
    if not isinstance(found, Mapping):
        keys = ", ".join(map(str, list(top)[:6])) if isinstance(top, Mapping) else type(top).__name__
        raise ModelCorruptError(path.name, f"expected a state dict of tensors in {path}, bare or under one of "
                                           f"{', '.join(_INSIDE)}; got {keys or 'nothing'}")
    return {str(key): value for key, value in found.items() if isinstance(value, Tensor)}


def content(path: Path) -> Any:
    """Return all that is in a file, with things of no function in place of what is neither data nor known.

    Raises:
        ModelCorruptError: The file is cut off, or asks to run code.
    """
    try:
        return _read(path)
    except ModelCorruptError:
        raise
    except Exception as error:  # damage shows in many ways
        why = " ".join(str(error).split())[:300] or type(error).__name__
        raise ModelCorruptError(path.name, f"expected a whole checkpoint with weights alone at {path}, got one that "
                                           f"cannot be read: {why}; fetch it again") from error


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    if path.suffix == ".caffemodel":
        from pose_ros.networks import caffemodel

        return caffemodel.read(path)
    names = sorted(name for name in formats.pickled_names(path) if formats.HARMLESS.fullmatch(name))
    stand_ins: list[Any] = [
        (_STANDS_FOR.get(name, _Filled if _DICTIONARY.fullmatch(name) else _Ignored), name) for name in names
    ]
    with _reading, torch.serialization.safe_globals(stand_ins):
        # Mapped, a large file is not in memory twice.
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
