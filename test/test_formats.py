# SPDX-License-Identifier: Apache-2.0
"""The outlines of model files, without any library that reads them."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys

import pytest

from pose_ros import formats
from pose_ros.errors import ModelCorruptError


def _safetensors(whole: int = 8, header: object = None) -> bytes:
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    text = json.dumps({"__metadata__": {"a": "b"}, "x": entry} if header is None else header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(whole)


@pytest.mark.parametrize(("suffix", "content", "problem"), [
    (".onnx", b"\x08\x08\x3a\x03abc\x42\x02\x10\x0d", ""),
    (".onnx", b"\x08\x08\x3a\x7fabc\x42\x02\x10\x0d", r"11 bytes where part 7, at 2, needs 131"),
    (".onnx", b"\x08\x08\x08\x09\x42\x02\x10\x0d", "one without a network in it"),
    (".onnx", b"\x08\x08\x3a\x03abc\x08", "ends within a number"),
    (".onnx", b"\x0b\x08\x3a\x03abc\x08\x08", "at byte 0 of 9"),
    (".onnx", b"\xff" * 20, "not protobuf"),
    (".tflite", b"\x1c\0\0\0TFL3", ""),
    (".tflite", b"\x1c\0\0\0TFL2", r"one that begins with b'\\x1c"),
    (".safetensors", _safetensors(), ""),
    (".safetensors", _safetensors(7), "in place of .*: it is cut off"),
    (".safetensors", struct.pack("<Q", 1 << 40) + b"{}", "bytes that do not hold its own list of tensors"),
    (".safetensors", _safetensors(header={"x": {"shape": [2]}}), r"cut off or damaged \('data_offsets'\)"),
    (".safetensors", struct.pack("<Q", 4) + b"null" + bytes(9), "cut off or damaged"),
    (".caffemodel", b"\x0a\x03net" + b"\x32\x05hello", ""),
    (".caffemodel", b"\x0a\x03net" + b"\x32\x7fhello", "where part 6, at 5, needs 134"),
    (".pth", b"PK\x03\x04" + bytes(100), "File is not a zip file"),
    (".pth", b"\x80\x02}q\x00.", "6 bytes"),
    (".pth", b"\x80\x02}q\x00." * 3, "cut off or damaged"),
    (".h5", b"\x89HDF\r\n\x1a\n" + bytes(9), r"of a kind that nothing here reads; known: \.onnx, \.tflite, \.pth"),
], ids=str)  # fmt: skip
def test_outlines(tmp_path, suffix, content, problem):
    path = tmp_path / f"net{suffix}"
    path.write_bytes(content)
    if problem:
        with pytest.raises(ModelCorruptError, match=f"'net{suffix}': expected a whole .* got .*{problem}.*; fetch"):
            formats.check(path)
    else:
        formats.check(path)


def test_name_and_ending_may_be_told(tmp_path):
    path = tmp_path / "half-fetched.part"
    path.write_bytes(b"12345678")
    with pytest.raises(ModelCorruptError, match=r"'my-net': expected a whole \.tflite file"):
        formats.check(path, ".tflite", "my-net")


@pytest.mark.parametrize("protocol", range(6))
def test_names_of_a_pickle_whatever_its_version(tmp_path, protocol):
    path = tmp_path / "net.pth"
    one = pickle.dumps([print, json.JSONDecoder, print, "os", "system"], protocol=max(protocol, 2))
    path.write_bytes(one * 5)
    assert formats.pickled_names(path) == {"builtins.print", "json.decoder.JSONDecoder"}


def test_harmless_names_are_of_data():
    data = ("mmengine.logging.history_buffer.HistoryBuffer", "numpy.core.multiarray.scalar", "numpy.ndarray",
            "numpy._core.multiarray._reconstruct", "numpy.dtypes.Float64DType", "builtins.getattr")
    code = ("builtins.eval", "builtins.exec", "os.system", "posix.system", "numpy.load", "numpy.f2py.compile",
            "numpy.testing._private.utils.runstring", "mmengine", "webbrowser.open", "functools.partial")
    for name in data:
        assert formats.HARMLESS.fullmatch(name)
    for name in code:
        assert not formats.HARMLESS.fullmatch(name)


def test_nothing_heavy_is_loaded():
    code = "import sys, pose_ros.formats; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'onnx')))"
    subprocess.run([sys.executable, "-c", code], check=True)
