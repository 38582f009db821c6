# SPDX-License-Identifier: Apache-2.0
"""A device without memory for a batch: the batch is halved, that is said, and the answers stay the same."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pytest

from pose_ros.errors import ModelError
from pose_ros.runtime.batched import BatchedSession, exhausted
from pose_ros.runtime.session import Tensor

#: As the libraries word it.
TEXTS = [
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer of size 1073741824",
    "[ONNXRuntimeError] : 1 : FAIL : bfc_arena.cc: Available memory of 12 is smaller than requested bytes of 48: "
    "out of memory",
    "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
    "std::bad_alloc",
]


class Small(BatchedSession):
    """A network that negates its input, on a device with room for so many subjects."""

    def __init__(self, room: int, error: Exception, batch: int = 0) -> None:
        image = Tensor("image", (-1, 2))
        super().__init__("small", [image], [Tensor("out", (-1, 2))], "library 1.0", "cuda", most=batch)
        self.room, self.error = room, error
        self.sizes: list[int] = []
        self.released = 0

    def _infer(self, batch: np.ndarray, names: Sequence[str]) -> Sequence[np.ndarray]:
        self.sizes.append(len(batch))
        if len(batch) > self.room:
            raise self.error
        return [-batch for _ in names]

    def _release(self) -> None:
        self.released += 1


@pytest.fixture
def batch() -> np.ndarray:
    return np.arange(14, dtype=np.float32).reshape(7, 2)


@pytest.mark.parametrize("text", TEXTS)
def test_the_batch_is_halved_until_it_fits_and_stays_so(text, batch, caplog):
    session = Small(2, RuntimeError(text))
    with caplog.at_level(logging.WARNING, "pose_ros"):
        found = session.run(batch)["out"]
    np.testing.assert_array_equal(found, -batch)
    assert session.most == 2
    assert session.sizes == [7, 4, 2, 2, 2, 1]
    assert session.released == 2
    first, second = (record.getMessage() for record in caplog.records)
    assert "model 'small': cuda has no memory for 7 subjects at a time, from now on 4" in first
    assert text[:40] in first
    assert "no memory for 4 subjects at a time, from now on 2" in second
    caplog.clear()
    session.sizes.clear()
    np.testing.assert_array_equal(session.run(batch)["out"], -batch)
    assert session.sizes == [2, 2, 2, 1]
    assert not caplog.records


def test_a_single_subject_that_does_not_fit_is_an_error(batch):
    session = Small(0, MemoryError("no room"))
    with pytest.raises(ModelError, match=r"library 1\.0 failed on cuda: no room"):
        session.run(batch)
    assert session.most == 1


def test_a_limit_that_was_asked_for_is_kept_until_memory_says_less(batch):
    session = Small(3, MemoryError(), batch=5)
    np.testing.assert_array_equal(session.run(batch)["out"], -batch)
    assert session.sizes == [5, 3, 3, 1]
    assert session.most == 3


def test_other_errors_are_no_lack_of_memory(batch):
    session = Small(2, RuntimeError("expected a tensor of shape (7, 3)"))
    with pytest.raises(ModelError, match="expected a tensor"):
        session.run(batch)
    assert session.most == 0
    assert not exhausted(ValueError("memory layout must be contiguous"))


def test_torch_names_its_own_error_like_this():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    assert exhausted(torch.cuda.OutOfMemoryError(TEXTS[0]))
    # PyTorch's allocator of the processor's memory.
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60)
    assert exhausted(caught.value)
