# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pose_ros.errors import CardError
from pose_ros.models import cards
from pose_ros.models.card import Preprocess


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_networks_may_take_the_pixels_themselves(rng, dtype, layout):
    crops = rng.integers(0, 256, (2, 5, 7, 3), np.uint8)
    crops.flags.writeable = False
    batch = Preprocess(color="bgr", layout=layout, dtype=dtype)(crops)
    expected = crops[..., ::-1] if layout == "nhwc" else crops[..., ::-1].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(batch, expected)
    assert batch.dtype == dtype
    assert batch.flags.c_contiguous


@pytest.mark.parametrize(("preprocess", "problem"), [
    (Preprocess(dtype="int8"), "preprocess.dtype: expected float32, uint8 or int32, got 'int8'"),
    (Preprocess(dtype="uint8", std=(255.0, 255.0, 255.0)), "an input of type uint8 takes no mean and std"),
])
def test_other_types_and_scaled_integers_are_refused(preprocess, problem):
    with pytest.raises(CardError, match=problem):
        dataclasses.replace(cards.get("yolox-nano"), preprocess=preprocess)


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_gray_is_one_channel(rng, layout):
    grey = rng.integers(0, 256, (2, 5, 7, 1), np.uint8)
    preprocess = Preprocess(color="gray", layout=layout, mean=(51.0, 0.0, 0.0), std=(255.0, 1.0, 1.0))
    batch = preprocess(grey.repeat(3, axis=3))
    expected = grey / np.float32(255) - np.float32(0.2)
    np.testing.assert_allclose(batch, expected if layout == "nhwc" else expected.transpose(0, 3, 1, 2), atol=1e-6)
    colours = Preprocess(color="gray", layout="nhwc")(np.uint8([[[[200, 0, 0], [0, 200, 0], [0, 0, 200]]]]))
    assert colours.ravel().tolist() == [60, 117, 23]
