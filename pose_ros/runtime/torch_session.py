# SPDX-License-Identifier: Apache-2.0
"""Run checkpoints with PyTorch, on processors and NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pose_ros.networks import catalogue
from pose_ros.runtime.batched import BatchedSession, select
from pose_ros.runtime.session import Settings, Tensor

FORMATS = (".pth", ".pt", ".tar", ".bin", ".safetensors", ".caffemodel")


def version() -> str:
    """Return the version of the library; ImportError when it is absent."""
    import torch

    return str(torch.__version__)


def devices() -> tuple[str, ...]:
    """Return the kinds of devices that are here."""
    import torch

    return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


class TorchSession(BatchedSession):
    """A network of :mod:`pose_ros.networks` with the weights of a checkpoint."""

    def __init__(self, path: Path, device: str, settings: Settings) -> None:
        """Build the network that the settings describe and load its weights.

        Raises:
            ModelCorruptError: The file is no checkpoint of this network.
            ConfigError: The description does not fit the architecture.
        """
        import torch

        from pose_ros.networks import checkpoint

        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._torch, self._dtype = torch, getattr(torch, settings.precision)
        self._network = catalogue.build(settings.network, settings.input_wh)
        self._network.load(checkpoint.read(path), path.name)
        self._network.to(device, self._dtype)
        self._place = device
        width, height = settings.input_wh
        self._names = self._network.outputs
        with torch.inference_mode():
            sample = torch.zeros((1, 3, height, width), dtype=self._dtype, device=device)
            shapes = [tuple(output.shape[1:]) for output in self._network(sample)]
        if self._network.any_size:
            # The maps' sizes follow the input's.
            height = width = -1
            shapes = [(shape[0], *(-1 for _ in shape[1:])) for shape in shapes]
        image = Tensor("image", (-1, 3, height, width))
        found = [Tensor(name, (-1, *shape)) for name, shape in zip(self._names, shapes, strict=True)]
        super().__init__(path.name, [image], select(path.name, found, settings.outputs), f"torch {version()}", device,
                         single=False)

    def _infer(self, batch: np.ndarray, names: Sequence[str]) -> Sequence[np.ndarray]:
        torch = self._torch
        with torch.inference_mode():
            made = self._network(torch.from_numpy(np.ascontiguousarray(batch)).to(self._place, self._dtype))
            found = dict(zip(self._names, made, strict=True))
            return [found[name].float().cpu().numpy() for name in names]
