# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest
import torch

from pose_ros.decode.enlarge import enlarged


@pytest.mark.parametrize("size", [(64, 40), (33, 21), (16, 10), (17, 55), (1, 1)], ids=str)
@pytest.mark.parametrize("align", ["corner", "udp"])
def test_is_the_interpolation_that_networks_were_tested_with(rng, size, align):
    maps = rng.normal(size=(5, 10, 16)).astype(np.float32)
    before = maps.copy()
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(maps)[None], size[::-1], mode="bilinear", align_corners=align == "udp"
    )[0].numpy()  # fmt: skip
    found = enlarged(maps, size, align)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(maps, before)


def test_takes_views_and_gives_copies(rng):
    maps = rng.normal(size=(3, 8, 8)).astype(np.float32)
    for align in ("corner", "udp"):
        np.testing.assert_array_equal(enlarged(maps[:, :, ::-1], (16, 16), align),
                                      enlarged(np.ascontiguousarray(maps[:, :, ::-1]), (16, 16), align))
        assert not np.shares_memory(enlarged(maps, (8, 8), align), maps)
    one = enlarged(np.ones((1, 1, 1), np.float32), (4, 3), "udp")
    np.testing.assert_array_equal(one, np.ones((1, 3, 4)))
