# SPDX-License-Identifier: Apache-2.0
"""Session: something that runs a network. A runtime does this and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from pose_ros.core.crops import Crops
from pose_ros.errors import ShapeError


@dataclass(frozen=True)
class Tensor:
    """Name, shape and type of one input or output; a dimension that may vary is -1."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"


#: What networks may be computed in. A library that cannot do one of them on a device says so.
PRECISIONS = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class Settings:
    """How to run a file; a library takes from it what concerns it."""

    #: What to call the network in messages; the name of its file when empty.
    name: str = ""
    #: Processor threads; 0 takes one per processor.
    threads: int = 0
    #: Most subjects in one call of the network; 0 takes all at once where the library can.
    batch: int = 0
    #: The outputs that are needed, in the order of the session's ``outputs``; all when empty.
    outputs: tuple[str, ...] = ()
    #: Of the arithmetic: one of :data:`PRECISIONS`. It does not change the type of inputs and outputs.
    precision: str = "float32"
    #: Whether how something is computed may depend on nothing but what is computed: not on what is ready by now.
    exact: bool = False
    #: Whether PyTorch on a GPU is to record what it does for each number of subjects, and to replay that.
    graphs: bool = False
    #: What a checkpoint needs besides its weights: ``architecture`` and its arguments, and the input's size.
    network: Mapping[str, Any] = field(default_factory=dict)
    input_wh: tuple[int, int] = (0, 0)


@runtime_checkable
class Session(Protocol):
    """A loaded network with one image-like input.

    ``run`` takes a batch of any size: a runtime whose file has a fixed batch splits or loops, and the caller never
    knows. It may be called from one thread at a time.
    """

    #: The first dimension is the batch, -1.
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    #: What really runs it, such as ``onnxruntime 1.31.1``.
    runtime: str
    #: Where it really runs, such as ``cpu`` or ``cuda:0``.
    device: str

    def run(self, batch: np.ndarray, outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Run the network.

        Args:
            batch: (N, ...) with the layout and type of ``inputs[0]``; N may be 0.
            outputs: Names of the outputs that are wanted; all when left out.

        Returns:
            Output name -> (N, ...).

        Raises:
            ShapeError: When the batch does not fit the input.
        """
        ...


class Scaling(Protocol):
    """How pixels become the network's input, as a card says it: colours in a dimension of their own, float32."""

    @property
    def color(self) -> str:
        """``rgb`` or ``bgr``."""

    @property
    def mean(self) -> tuple[float, float, float]:
        """What is taken from pixels of 0 .. 255 first, in the order of ``color``."""

    @property
    def std(self) -> tuple[float, float, float]:
        """What they are divided by then."""


@runtime_checkable
class CuttingSession(Session, Protocol):
    """A session that can cut crops where its network runs: an image travels to a GPU once, and not in many pieces."""

    #: Whether that is faster here than crops that come cut.
    cuts: bool

    def run_crops(self, crops: Crops, scaling: Scaling) -> dict[str, np.ndarray]:
        """Cut crops and run the network on them.

        Args:
            crops: N of them.
            scaling: What the network wants of their pixels.

        Returns:
            Output name -> (N, ...).
        """
        ...


class FakeSession:
    """A session that needs no network, for tests of everything but the weights."""

    runtime = "fake"
    device = "cpu"

    def __init__(
        self,
        input: Tensor,
        outputs: Sequence[Tensor],
        function: Callable[[np.ndarray], Mapping[str, np.ndarray]],
    ) -> None:
        """Make a session.

        Args:
            input: What ``run`` takes.
            outputs: What ``run`` gives.
            function: The network: a batch to outputs by name.
        """
        self.inputs, self.outputs = (input,), tuple(outputs)
        self._function = function
        #: Batch sizes of all calls so far.
        self.calls: list[int] = []

    def run(self, batch: np.ndarray, outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Run the function; see :class:`Session`."""
        check_batch(self.inputs[0], batch)
        self.calls.append(len(batch))
        result = self._function(batch)
        return {t.name: result[t.name] for t in self.outputs if outputs is None or t.name in outputs}


def check_batch(tensor: Tensor, batch: np.ndarray) -> None:
    """Refuse a batch that does not fit an input.

    Raises:
        ShapeError: With both shapes and types.
    """
    expected = (len(batch) if batch.ndim else 0, *tensor.shape[1:])
    fits = batch.ndim == len(expected) and all(e in (-1, a) for e, a in zip(expected, batch.shape, strict=True))
    if not fits or batch.dtype != np.dtype(tensor.dtype):
        raise ShapeError(tensor.name, f"{tensor.dtype} (N, {', '.join(map(str, tensor.shape[1:]))})",
                         f"{batch.dtype} {batch.shape}")
