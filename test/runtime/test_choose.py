# SPDX-License-Identifier: Apache-2.0
"""Devices and libraries are chosen honestly: nothing else runs than what was asked for."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import onnx_file
import pytest

from pose_ros.errors import DeviceError, ModelCorruptError, ModelError, ModelMissingError, ShapeError
from pose_ros.runtime import available, choose, onnx_session, open_session, openvino_session

_HERE = {i.runtime: i for i in available() if i.version}
_HAS_CUDA = "cuda" in (_HERE["onnxruntime"].devices if "onnxruntime" in _HERE else ())


@pytest.fixture
def model(tmp_path):
    return onnx_file.write(tmp_path / "tiny.onnx")


def _without(monkeypatch, *runtimes):
    """Pretend that libraries are not installed."""
    def absent():
        raise ModuleNotFoundError

    for name in runtimes:
        monkeypatch.setattr(choose._module(name), "version", absent)


def test_available_says_what_there_is_and_how_to_get_the_rest(monkeypatch):
    _without(monkeypatch, "litert")
    infos = {i.runtime: i for i in available()}
    assert list(infos) == ["openvino", "onnxruntime", "litert", "torch", "numpy"]
    assert infos["litert"].version is None
    assert infos["litert"].missing == "not installed: pip install ai-edge-litert"
    assert infos["openvino"].formats == (".onnx", ".tflite")


def test_library_that_does_not_load_is_reported(monkeypatch):
    def broken():
        raise ImportError("libstdc++.so.6: version `GLIBCXX_3.4.30' not found")

    monkeypatch.setattr(onnx_session, "version", broken)
    info = {i.runtime: i for i in available()}["onnxruntime"]
    assert info.version is None
    assert "GLIBCXX_3.4.30' not found" in info.missing
    assert "pip install onnxruntime" in info.missing


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CPU", "", "openvino", "openvino:"])
def test_device_that_does_not_exist(model, device):
    with pytest.raises(DeviceError, match=r"expected auto, cpu, cuda\[:N\], tensorrt\[:N\] or openvino:NAME"):
        open_session(model, device=device)


def test_runtime_that_does_not_exist(model):
    known = "openvino or onnxruntime or litert or torch or numpy"
    with pytest.raises(DeviceError, match=f"runtime auto, {known}; got 'caffe'"):
        open_session(model, runtime="caffe")


@pytest.mark.parametrize("device", ["cuda", "cuda:1", "tensorrt"])
@pytest.mark.parametrize("runtime", ["openvino", "litert"])
def test_contradiction(model, device, runtime):
    with pytest.raises(DeviceError, match=f"'{device}': only onnxruntime runs on it, but the runtime asked for is "
                                          f"'{runtime}'; ask for runtime=onnxruntime"):
        open_session(model, device=device, runtime=runtime)
    with pytest.raises(DeviceError, match="only openvino runs on it"):
        open_session(model, device="openvino:GPU", runtime="onnxruntime")


@pytest.mark.skipif(_HAS_CUDA, reason="this machine has CUDA")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "tensorrt:0"])
def test_absent_gpu_is_an_error(model, device):
    with pytest.raises(DeviceError, match=rf"'{device}': not available: onnxruntime [\d.]+ offers cpu. To get it: "
                                          r"pip install 'onnxruntime-gpu\[cuda,cudnn\]'"):
        open_session(model, device=device)


def test_absent_openvino_device_is_an_error(model):
    pytest.importorskip("openvino")
    with pytest.raises(DeviceError, match=r"'openvino:NPU.7': not available: openvino [\d.]+ offers cpu"):
        open_session(model, device="openvino:NPU.7")


def test_onnxruntime_that_falls_back_in_silence_is_caught(model, monkeypatch):
    """A provider that is built in and does not start is left out by onnxruntime without an error."""
    onnxruntime = pytest.importorskip("onnxruntime")
    real = onnxruntime.InferenceSession

    def on_cpu(path, options, providers, **arguments):
        assert [p[0] for p in providers] == ["CUDAExecutionProvider"]
        assert arguments == {"enable_fallback": False}, "onnxruntime would try the CPU by itself"
        return real(path, options, providers=["CPUExecutionProvider"], **arguments)

    monkeypatch.setattr(onnxruntime, "get_available_providers",
                        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(onnxruntime, "InferenceSession", on_cpu)
    with pytest.raises(DeviceError, match=r"'cuda:1': onnxruntime [\d.]+ was built for it, but it does not start: only "
                                          r"CPUExecutionProvider did; .*pip install"):
        open_session(model, device="cuda:1")


def test_auto_says_that_a_gpu_does_not_start_and_what_it_uses_instead(model, monkeypatch, caplog):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    monkeypatch.setattr(onnxruntime, "get_available_providers",
                        lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])

    def broken(*_arguments, **_options):
        raise RuntimeError("CUDA driver version is insufficient")

    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setattr(onnxruntime, "InferenceSession", broken)
    with caplog.at_level(logging.WARNING):
        session = open_session(model)
    assert session.device == "cpu"
    assert session.runtime.startswith("openvino")
    assert "'cuda:0': onnxruntime cannot open tiny.onnx there: CUDA driver version is insufficient" in caplog.text
    assert "using openvino" in caplog.text


def test_auto_takes_what_is_installed(model, monkeypatch):
    if not {"openvino", "onnxruntime"} <= _HERE.keys():
        pytest.skip("needs openvino and onnxruntime")
    _without(monkeypatch, "openvino")
    assert open_session(model).runtime.startswith("onnxruntime")
    with pytest.raises(DeviceError, match="openvino not installed: pip install openvino"):
        open_session(model, runtime="openvino")
    _without(monkeypatch, "onnxruntime")
    with pytest.raises(DeviceError, match="openvino not installed: pip install openvino; "
                                          "onnxruntime not installed: pip install onnxruntime"):
        open_session(model)


def test_auto_takes_what_a_network_prefers(model, monkeypatch):
    if not {"openvino", "onnxruntime"} <= _HERE.keys():
        pytest.skip("needs openvino and onnxruntime")
    assert open_session(model, prefer="onnxruntime").runtime.startswith("onnxruntime")
    assert open_session(model, prefer="litert").runtime.startswith("openvino")  # litert cannot read such files
    assert open_session(model, prefer="onnxruntime", runtime="openvino").runtime.startswith("openvino")
    _without(monkeypatch, "onnxruntime")
    assert open_session(model, prefer="onnxruntime").runtime.startswith("openvino")


def test_auto_moves_on_when_a_file_loads_and_does_not_run(model, monkeypatch, caplog):
    if not {"openvino", "onnxruntime"} <= _HERE.keys():
        pytest.skip("needs openvino and onnxruntime")

    def broken(*_):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(openvino_session.OpenVinoSession, "_infer", broken)
    assert open_session(model).runtime.startswith("onnxruntime")
    assert "failed on cpu: no such kernel; using onnxruntime" in caplog.text
    with pytest.raises(ModelError, match=r"openvino .* failed on cpu: no such kernel"):
        open_session(model, runtime="openvino")


def test_openvino_device_names(model, monkeypatch):
    pytest.importorskip("openvino")
    assert open_session(model, device="openvino:CPU").device == "cpu"
    monkeypatch.setattr(openvino_session, "_core", lambda: SimpleNamespace(available_devices=["CPU", "GPU.0", "GPU.1"]))
    assert openvino_session.devices() == ("cpu", "openvino:GPU.0", "openvino:GPU.1")


def test_format_that_the_runtime_cannot_read(model, tmp_path):
    with pytest.raises(DeviceError, match=r"litert cannot read .onnx files; openvino and onnxruntime can"):
        open_session(model, runtime="litert")
    lite = tmp_path / "tiny.tflite"
    lite.write_bytes(b"\0\0\0\0TFL3")
    with pytest.raises(DeviceError, match=r"cannot read .tflite files; openvino and litert can; ask for one of them"):
        open_session(lite, device="cuda")
    other = tmp_path / "tiny.h5"
    other.write_bytes(b"12345678")
    with pytest.raises(ModelCorruptError, match=r"expected a file that ends in .onnx .tflite .pth .*, got .*tiny.h5"):
        open_session(other)


def test_missing_file(tmp_path):
    with pytest.raises(ModelMissingError, match=r"expected a model file at .*none.onnx: No such file"):
        open_session(tmp_path / "none.onnx")


@pytest.mark.parametrize("runtime", [n for n, i in _HERE.items() if ".tflite" in i.formats] + ["auto"])
@pytest.mark.parametrize("content", [b"", b"TFL", b"<html>404</html>" * 10, b"\x1c\0\0\0TFL3" + bytes(200)], ids=len)
def test_damaged_tflite(tmp_path, runtime, content):
    path = tmp_path / "bad.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelCorruptError, match=r"bad.tflite.*fetch it again"):
        open_session(path, runtime=runtime)


@pytest.mark.parametrize("runtime", [n for n, i in _HERE.items() if ".onnx" in i.formats] + ["auto"])
@pytest.mark.parametrize("kind", ["empty", "cut", "html", "noise"])
def test_damaged_onnx(model, runtime, kind, capfd):
    whole = model.read_bytes()
    model.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "html": b"<html>404</html>" * 10,
                       "noise": np.random.default_rng(3).bytes(5000)}[kind])
    with pytest.raises(ModelCorruptError, match=r"tiny.onnx.*fetch it again"):
        open_session(model, runtime=runtime)
    assert "Falling back" not in capfd.readouterr().out


@pytest.mark.parametrize("name", ["body/pose_detection.tflite", "body/ultralight_simplepose_256x192.onnx"])
def test_real_file_that_was_cut_off(testdata, tmp_path, name):
    whole = (testdata / "models" / name).read_bytes()
    path = tmp_path / name.split("/")[1]
    path.write_bytes(whole[: len(whole) // 2])
    for runtime in [n for n, i in _HERE.items() if path.suffix in i.formats]:
        with pytest.raises(ModelCorruptError, match="cut off or damaged"):
            open_session(path, runtime=runtime)


@pytest.mark.parametrize(("runtime", "precision", "message"), [
    ("onnxruntime", "float16", "'cpu': onnxruntime computes there as the file says, not in float16; ask for "
                               "runtime=openvino, or for precision=float32"),
    ("onnxruntime", "bfloat16", "not in bfloat16; ask for runtime=openvino"),
    ("litert", "float16", "'cpu': litert computes as the file says, not in float16; ask for runtime=openvino"),
])
def test_precision_that_a_library_does_not_do(tmp_path, model, runtime, precision, message):
    if runtime == "litert":
        model = tmp_path / "tiny.tflite"
        model.write_bytes(b"\0\0\0\0TFL3")
    if runtime not in _HERE:
        pytest.skip(f"needs {runtime}")
    with pytest.raises(DeviceError, match=message):
        open_session(model, runtime=runtime, precision=precision)


@pytest.mark.parametrize(("capabilities", "precision", "offers"), [
    (["FP32", "INT8", "BIN"], "bfloat16", "float32"),
    (["FP32", "FP16"], "bfloat16", "float32 or float16"),
    (["FP16", "INT8"], "float32", "float16"),
])
def test_precision_that_a_device_does_not_do(model, monkeypatch, capabilities, precision, offers):
    pytest.importorskip("openvino")
    core = SimpleNamespace(available_devices=["CPU", "NPU"], get_property=lambda place, name: capabilities)
    monkeypatch.setattr(openvino_session, "_core", lambda: core)
    with pytest.raises(DeviceError, match=f"'openvino:NPU': cannot compute in {precision}; ask for precision={offers}"):
        open_session(model, device="openvino:NPU", precision=precision)


@pytest.mark.parametrize(("precision", "hint"), [("float32", "f32"), ("bfloat16", "bf16")])
def test_openvino_computes_in_what_was_asked_for(model, precision, hint):
    openvino = pytest.importorskip("openvino")
    if precision == "bfloat16" and "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16")
    session = open_session(model, runtime="openvino", precision=precision)
    compiled = session._request.get_compiled_model()
    assert compiled.get_property("INFERENCE_PRECISION_HINT").to_string() == hint


@pytest.mark.parametrize(("precision", "flag"), [("float32", {}), ("float16", {"trt_fp16_enable": "1"}),
                                                 ("bfloat16", {"trt_bf16_enable": "1"})])
def test_what_tensorrt_is_asked_for(precision, flag, tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None, raising=False)
    monkeypatch.setenv("POSE_ROS_CACHE", str(tmp_path))
    (first, options), (second, cuda) = onnx_session._providers("tensorrt", "1", precision)
    assert (first, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert {name: value for name, value in options.items() if "16" in name} == flag
    assert cuda == {"device_id": "1", "use_tf32": "0"}


@pytest.mark.parametrize(("what", "made_for", "reason"), [
    ({"opset": 99}, "ONNX IR 8, opset 99", "opset"), ({"ir": 99}, "ONNX IR 99, opset 13", "IR version"),
    ({"nodes": [("Frobnicate", "image", "out")]}, "ONNX IR 8, opset 13", "Frobnicate"),
])
def test_file_for_another_version_of_the_library(tmp_path, what, made_for, reason):
    path = onnx_file.write(tmp_path / "new.onnx", **what)
    with pytest.raises(ModelCorruptError, match=rf"onnxruntime [\d.]+ cannot read .*new.onnx, made for {made_for}: "
                                                rf".*{reason}.*made for another version of onnxruntime \(pip install "):
        open_session(path, runtime="onnxruntime")


@pytest.mark.parametrize("runtime", [n for n, i in _HERE.items() if ".onnx" in i.formats])
def test_one_input_is_wanted(tmp_path, runtime):
    with pytest.raises(ShapeError, match=r"model 'two.onnx': expected a network with one input, the image, got image "
                                         r"\(-1, 2, 3\), mask \(-1, 2, 3\); export it with one"):
        open_session(onnx_file.write(tmp_path / "two.onnx", inputs=("image", "mask")), runtime=runtime)
