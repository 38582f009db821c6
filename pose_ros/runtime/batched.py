# SPDX-License-Identifier: Apache-2.0
"""What the sessions of all libraries share: any batch size, checked input, named outputs."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pose_ros.errors import ModelError, ShapeError, UnknownNameError
from pose_ros.runtime.session import Tensor, check_batch

log = logging.getLogger(__name__)

#: What libraries say when there is no memory left: PyTorch, ONNX Runtime, CUDA and cuBLAS, OpenVINO.
_EXHAUSTED = (
    "out of memory", "failed to allocate", "bad_alloc", "bad allocation", "cudaerrormemoryallocation", "alloc_failed",
    "not enough memory", "can't allocate memory",
)  # fmt: skip


class BatchedSession(ABC):
    """A session whose network takes either any batch, or so many subjects at a time.

    Where a device has no memory left for a batch, it is halved for good, and that is said.
    """

    def __init__(
        self, name: str, inputs: Sequence[Tensor], outputs: Sequence[Tensor], runtime: str, device: str, *, most: int
    ) -> None:
        """Describe the network.

        Args:
            name: What to call it in messages.
            inputs: As the file has them; the first dimension is the batch.
            outputs: Those that ``run`` gives, as the file has them.
            runtime: Library and version.
            device: Where it really runs.
            most: Most subjects in one run; 0 where there is no limit.

        Raises:
            ShapeError: The network has more than one input, or its batch is fixed to another size than 1.
        """
        self.name, self.runtime, self.device = name, runtime, device
        if len(inputs) != 1:
            came = ", ".join(f"{t.name} {t.shape}" for t in inputs) or "none"
            raise ShapeError(f"model '{name}'", "a network with one input, the image", f"{came}; export it with one")
        if not inputs[0].shape or inputs[0].shape[0] not in (-1, 1):
            raise ShapeError(f"model '{name}' input '{inputs[0].name}'", "a batch of 1 or of any size",
                             f"{inputs[0].shape}; export it with a batch that may vary")
        self._most = 1 if inputs[0].shape[0] == 1 else most
        self.inputs, self.outputs = (tuple(Tensor(t.name, (-1, *t.shape[1:]), t.dtype) for t in x)
                                     for x in (inputs, outputs))

    @abstractmethod
    def _infer(self, batch: Any, names: Sequence[str]) -> Sequence[np.ndarray]:
        """Run once and return the outputs ``names``; the arrays belong to the caller."""

    def _infer_each(self, parts: Sequence[Any], names: Sequence[str]) -> Sequence[Sequence[np.ndarray]]:
        """Run once for each part and return the outputs of each; a library that can do this better overrides it."""
        return [self._infer(part, names) for part in parts]

    def run(self, batch: np.ndarray, outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Run the network; see :class:`pose_ros.runtime.session.Session`."""
        check_batch(self.inputs[0], batch)
        return self._run_all(batch, outputs)

    def _run_all(self, batch: Any, outputs: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Run the network on whatever a library takes as a batch, which has a length and parts."""
        wanted = select(self.name, self.outputs, outputs or ())
        if not len(batch):
            return {t.name: np.empty((0, *(max(d, 0) for d in t.shape[1:])), t.dtype) for t in wanted}
        names = [t.name for t in wanted]
        columns = zip(*self._in_parts(batch, names), strict=True)
        return {n: c[0] if len(c) == 1 else np.concatenate(c) for n, c in zip(names, columns, strict=True)}

    @property
    def most(self) -> int:
        """Most subjects in one run; 0 where there is no limit."""
        return self._most

    def _in_parts(self, batch: Any, names: Sequence[str]) -> Sequence[Sequence[np.ndarray]]:
        """Run in as many parts as memory needs; return the outputs of each."""
        step = self._most or len(batch)
        parts = [batch[i : i + step] for i in range(0, len(batch), step)]
        try:
            return self._infer_each(parts, names)
        except Exception as error:
            if len(parts[0]) == 1 or not exhausted(error):
                raise ModelError(self.name, f"{self.runtime} failed on {self.device}: {one_line(error)}") from error
            problem = one_line(error)
        # Outside of the handler: the error's frames hold the tensors that were in the way.
        self._most = (len(parts[0]) + 1) // 2
        self._release()
        log.warning("model '%s': %s has no memory for %d subjects at a time, from now on %d (%s); set batch to begin "
                    "with that, or take a smaller model", self.name, self.device, len(parts[0]), self._most, problem)
        return self._in_parts(batch, names)

    def _release(self) -> None:  # noqa: B027 - most keep none
        """Give back memory that the library keeps for later; a library that keeps some overrides it."""

    def __repr__(self) -> str:
        """Say what runs where."""
        return f"<{self.name} by {self.runtime} on {self.device}>"


def exhausted(error: BaseException) -> bool:
    """Return whether an error of a library says that there is no memory left."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _EXHAUSTED)


def select(model: str, found: Iterable[Tensor], wanted: Sequence[str]) -> list[Tensor]:
    """Return the wanted outputs in the order in which they are wanted, or all where nothing is said.

    Raises:
        UnknownNameError: The network has no such output.
    """
    known = {t.name: t for t in found}
    for name in wanted:
        if name not in known:
            raise UnknownNameError(f"output of model '{model}'", name, known, "Mend the card's outputs")
    return [known[name] for name in wanted or known]


def one_line(error: BaseException, most: int = 400) -> str:
    """Return the text of an error of a native library, which may span pages, as one line: how it begins and ends."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= most else f"{text[: most // 4]} ... {text[-3 * most // 4 :]}"
