# SPDX-License-Identifier: Apache-2.0
"""What PyTorch does on a GPU around a network: cut its crops there, and replay it as one launch.

Nothing here asks for a GPU by itself; cutting runs, and is tested, on processors too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from pose_ros.core.crops import Crops
from pose_ros.runtime.session import Scaling


def sent(array: np.ndarray, place: torch.device | str) -> torch.Tensor:
    """Return an array on a device; a GPU fetches it from pinned memory while the processor goes on."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor.pin_memory().to(place, non_blocking=True) if torch.device(place).type == "cuda" else tensor.to(place)


@dataclass(frozen=True, eq=False)
class Cuts:
    """Crops as a batch of a network's input, which is made when it is needed."""

    crops: Crops
    scaling: Scaling

    def __len__(self) -> int:
        """Return how many they are."""
        return len(self.crops)

    def __getitem__(self, rows: slice) -> Cuts:
        """Return some of them."""
        return Cuts(self.crops[rows], self.scaling)


def cut(cuts: Cuts, place: torch.device | str) -> torch.Tensor:
    """Cut crops out of an image on a device; the image travels there once, as uint8.

    Bilinear, black outside of the image, rounded to whole grey levels as OpenCV does, which counts coordinates in 1/32
    of a pixel: it differs by a grey level here and there.

    Args:
        cuts: N of them.
        place: The device.

    Returns:
        float32 (N, 3, height, width).
    """
    crops, scaling = cuts.crops, cuts.scaling
    (width, height), (rows, columns) = crops.size_wh, crops.image.shape[:2]
    image = sent(crops.image, place).permute(2, 0, 1)[None].float()
    # Pixel centres to -1 .. 1 (align_corners): the first pixel is at -1, the last one at 1.
    steps = np.array([[2 / max(columns - 1, 1)], [2 / max(rows - 1, 1)]])
    to_grid = crops.seen() * steps
    to_grid[..., 2] -= 1
    linear = sent(to_grid.astype(np.float32), place)
    y, x = torch.meshgrid(torch.arange(height, device=place), torch.arange(width, device=place), indexing="ij")
    pixels = torch.stack([x, y, torch.ones_like(x)], dim=-1).reshape(-1, 3).float()
    grid = (pixels @ linear.transpose(1, 2)).reshape(len(crops), height, width, 2)
    # One tall image: grid_sample would want a copy of the whole image for each crop.
    found = torch.nn.functional.grid_sample(image, grid.reshape(1, -1, width, 2), align_corners=True).round()
    found = found.reshape(3, len(crops), height, width).transpose(0, 1)
    if scaling.color == "bgr":
        found = found.flip(1)
    mean, std = (sent(np.array(values, np.float32), place)[:, None, None] for values in (scaling.mean, scaling.std))
    return (found - mean) / std


#: Sizes of input that stay recorded; those of a camera are few, those of photographs are not.
_MOST_RECORDED = 8


class Replayed:
    """A network that a GPU replays as one launch (CUDA graph), recorded once for each power of two of subjects.

    Networks for one subject are hundreds of small kernels, and launching them takes longer than computing them.
    """

    def __init__(self, network: Callable[[torch.Tensor], tuple[torch.Tensor, ...]]) -> None:
        """Record nothing yet."""
        self._network = network
        self._recorded: dict[tuple[int, ...], Recording] = {}

    def __call__(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the outputs, (N, ...); they are overwritten by the next call."""
        shape = (1 << (len(batch) - 1).bit_length(), *batch.shape[1:])
        # The one that was used last is the last one.
        recording = self._recorded.pop(shape, None) or Recording(self._network, batch.new_zeros(shape))
        self._recorded[shape] = recording
        if len(self._recorded) > _MOST_RECORDED:
            del self._recorded[next(iter(self._recorded))]
        return recording(batch)

    def forget(self) -> None:
        """Give back the memory of what was recorded."""
        self._recorded.clear()


class Recording:
    """What a GPU does for one size of input."""

    def __init__(self, network: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], given: torch.Tensor) -> None:
        """Record it; ``given`` is where its input will be."""
        self._given = given
        # The libraries choose their kernels and allocate in the first runs, which must not be recorded.
        aside = torch.cuda.Stream(given.device)
        aside.wait_stream(torch.cuda.current_stream(given.device))
        with torch.cuda.stream(aside):
            for _ in range(3):
                network(given)
        torch.cuda.current_stream(given.device).wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        # Other networks of this process may run meanwhile in threads of their own.
        with torch.cuda.device(given.device), torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._outputs = network(given)

    def __call__(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the outputs for at most as many subjects as were recorded."""
        self._given[: len(batch)].copy_(batch)
        self._graph.replay()
        return tuple(output[: len(batch)] for output in self._outputs)
