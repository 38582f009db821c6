# SPDX-License-Identifier: Apache-2.0
"""Run checkpoints with PyTorch, on processors and NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pose_ros import formats
from pose_ros.errors import DeviceError
from pose_ros.networks import catalogue
from pose_ros.runtime.batched import BatchedSession, select
from pose_ros.runtime.session import PRECISIONS, Scaling, Settings, Tensor

if TYPE_CHECKING:
    from pose_ros.core.crops import Crops
    from pose_ros.runtime.torch_gpu import Cuts, Replayed

FORMATS = formats.CHECKPOINTS


def version() -> str:
    """Return the version of the library; ImportError when it is absent."""
    import torch

    return str(torch.__version__)


def devices() -> tuple[str, ...]:
    """Return the kinds of devices that are here."""
    import torch

    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def _fast(precision: str) -> bool:
    """Whether the processor's own arithmetic is used for a precision, as far as PyTorch tells."""
    import torch

    question = {"float16": "_is_mkldnn_fp16_supported", "bfloat16": "_is_mkldnn_bf16_supported"}.get(precision)
    asked = getattr(torch.ops.mkldnn, question, None) if question else None
    return asked is None or bool(asked())


class TorchSession(BatchedSession):
    """A network of :mod:`pose_ros.networks` with the weights of a checkpoint.

    PyTorch has one number of threads for the whole process: that of the session which was opened last holds for all of
    its sessions. The threads of other libraries are their own.
    """

    def __init__(self, path: Path, device: str, settings: Settings) -> None:
        """Build the network that the settings describe and load its weights.

        Raises:
            DeviceError: It cannot compute in that precision at a bearable speed, or record graphs.
            ModelCorruptError: The file is no checkpoint of this network.
            ConfigError: The description does not fit the architecture.
        """
        import torch

        from pose_ros.networks import checkpoint
        from pose_ros.runtime import torch_gpu

        name = settings.name or path.name
        if device == "cpu" and not _fast(settings.precision):
            others = " or ".join(p for p in PRECISIONS if _fast(p))
            raise DeviceError(device, f"this processor has no arithmetic in {settings.precision}, and torch would be "
                                      f"tens of times slower than with float32; ask for precision={others}")
        if settings.graphs and device == "cpu":
            raise DeviceError(device, f"only NVIDIA's GPUs replay CUDA graphs, and {name} would run on a processor; "
                                      "ask for device=cuda, or for cuda_graphs=false")
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._torch, self._dtype, self._place = torch, getattr(torch, settings.precision), device
        network = catalogue.build(settings.network, settings.input_wh)
        network.load(checkpoint.read(path), name)
        self._network: Callable[[Any], tuple[Any, ...]] = network.to(device, self._dtype)
        self._names = network.outputs
        shape = network.input_shape(settings.input_wh)
        self._replayed: Replayed | None = None
        shapes = [tuple(output.shape[1:]) for output in self._run(np.zeros((1, *shape), np.float32)).values()]
        #: A processor has OpenCV, which cuts faster.
        self.cuts = device != "cpu" and len(shape) == 3 and shape[0] == 3
        if network.any_size:
            # The maps' sizes follow the input's.
            shape = (shape[0], *(-1 for _ in shape[1:]))
            shapes = [(s[0], *(-1 for _ in s[1:])) for s in shapes]
        self._replayed = torch_gpu.Replayed(self._network) if settings.graphs else None
        image = Tensor("image", (-1, *shape))
        found = [Tensor(output, (-1, *shape)) for output, shape in zip(self._names, shapes, strict=True)]
        super().__init__(name, [image], select(name, found, settings.outputs), f"torch {version()}", device,
                         most=settings.batch)

    def run_crops(self, crops: Crops, scaling: Scaling) -> dict[str, np.ndarray]:
        """Cut crops and run the network; see :class:`pose_ros.runtime.session.CuttingSession`."""
        from pose_ros.runtime.torch_gpu import Cuts

        return self._run_all(Cuts(crops, scaling))

    def _infer(self, batch: np.ndarray | Cuts, names: Sequence[str]) -> Sequence[np.ndarray]:
        made = self._run(batch)
        return [made[name].float().cpu().numpy() for name in names]

    def _release(self) -> None:
        if self._place.startswith("cuda"):
            if self._replayed:
                self._replayed.forget()
            self._torch.cuda.empty_cache()

    def _run(self, batch: np.ndarray | Cuts) -> dict[str, Any]:
        from pose_ros.runtime import torch_gpu

        torch = self._torch
        # NVIDIA's GPUs would multiply 10-bit fractions where float32 was asked for.
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            given = (torch_gpu.cut(batch, self._place) if isinstance(batch, torch_gpu.Cuts)
                     else torch_gpu.sent(batch, self._place))
            made = (self._replayed or self._network)(given.to(self._dtype))
            return dict(zip(self._names, made, strict=True))
