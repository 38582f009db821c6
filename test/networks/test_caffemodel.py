# SPDX-License-Identifier: Apache-2.0
"""Reading Caffe's weights, and refusing what is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from replay import DATA  # noqa: F401 - makes test/data/networks importable
from write_caffe import caffemodel

from pose_ros.errors import ModelCorruptError
from pose_ros.networks import caffemodel as reader

STATE = {
    "conv1_1.weight": np.arange(2 * 3 * 3 * 3, dtype=np.float32).reshape(2, 3, 3, 3),
    "conv1_1.bias": np.float32([0.5, -1]),
    "prelu4_2.weight": np.float32([0.25, 0.5, 0.75]),
    "Mconv7_stage6_L1.weight": np.linspace(-1, 1, 300, dtype=np.float32).reshape(1, 300, 1, 1),
}


@pytest.mark.parametrize("old", [False, True])
def test_reads_names_shapes_and_values(tmp_path, old):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(caffemodel(STATE, old=old))
    found = reader.read(path)
    assert list(found) == list(STATE)
    for name, value in STATE.items():
        assert found[name].dtype == torch.float32
        np.testing.assert_array_equal(found[name].numpy(), value, err_msg=name)


@pytest.mark.parametrize("old", [False, True])
def test_refuses_every_file_that_is_cut_off_inside_a_layer(tmp_path, old):
    whole = caffemodel({"a.weight": np.ones((2, 2), np.float32)}, old=old)
    path = tmp_path / "net.caffemodel"
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ModelCorruptError, match=r"expected a \.caffemodel in .*, got .*fetch"):
            reader.read(path)


BAD = {
    "too long": (b"\xa2\x06\xff\xff\xff\x7f", "field 100 is 268435455 bytes long, 0 are left"),
    "endless number": (b"\xa2\x06" + b"\xff" * 12, "the number at byte 2 does not end"),
    "a group": (b"\x0b\x0c", "field 1 has the unknown wire type 3"),
    "a pickle": (b"\x80\x02}q\x00.", "expected a .caffemodel"),
    "a page": (b"<html>not found</html>", "expected a .caffemodel"),
    "nothing": (b"", "got no weights"),
    "no weights": (b"\x0a\x03net", "got no weights"),
    "other shape": (caffemodel({"a.weight": np.ones(3, np.float32)}).replace(b"\x0a\x01\x03", b"\x0a\x01\x04"),
                    r"a\.weight has 3 numbers, expected 4"),
    "half a number": (b"\xa2\x06\x09\x0a\x01a\x3a\x04\x2a\x02\x00\x00", "buffer size must be a multiple"),
    "three blobs": (b"\xa2\x06\x09\x0a\x01a\x3a\x00\x3a\x00\x3a\x00", "layer 'a' has 3 blobs, expected at most 2"),
    "a name that is no text": (b"\xa2\x06\x05\x0a\x03\xff\xfe\xfd", "codec can't decode"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "problem"), BAD.values(), ids=BAD)
def test_refuses_what_is_no_network(tmp_path, content, problem):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    with pytest.raises(ModelCorruptError, match=problem):
        reader.read(path)
