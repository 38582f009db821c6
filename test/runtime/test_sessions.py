# SPDX-License-Identifier: Apache-2.0
"""All libraries keep the promises of Session, and agree with one another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx_file
import pytest

from pose_ros.errors import ModelError, ShapeError, UnknownNameError
from pose_ros.runtime import Session, available, open_session

_FORMATS = {i.runtime: i.formats for i in available() if i.version}
_ONNX = [name for name, formats in _FORMATS.items() if ".onnx" in formats]
_TFLITE = [name for name, formats in _FORMATS.items() if ".tflite" in formats]
#: Network below the test data -> (height, width), channels first, scale of pixels.
_NETWORKS = {
    "body/pose_landmark_lite.onnx": ((256, 256), False, 1 / 255),
    "body/pose_detection.tflite": ((224, 224), False, 1 / 255),
    "body/ultralight_simplepose_256x192.onnx": ((256, 192), True, 1 / 255),
    "detector/yolox_nano.onnx": ((416, 416), True, 1.0),
}


@pytest.fixture(params=[(runtime, batch) for runtime in _ONNX for batch in ("N", 1)], ids=str)
def tiny(request, tmp_path) -> Session:
    """The tiny network, with a batch that may vary and with one that may not."""
    runtime, batch = request.param
    return open_session(onnx_file.write(tmp_path / "tiny.onnx", batch), runtime=runtime)


@pytest.fixture
def photograph(testdata) -> np.ndarray:
    import cv2

    return cv2.imread(str(sorted((testdata / "body2d/coco_mini").rglob("*.jpg"))[0]))


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_batch_of_any_size(tiny, rng, n):
    batch = rng.normal(size=(n, 2, 3)).astype(np.float32)
    before = batch.copy()
    result = tiny.run(batch)
    assert list(result) == ["negative", "size"]
    np.testing.assert_array_equal(result["negative"], -batch)
    np.testing.assert_array_equal(result["size"], np.abs(batch))
    assert all(column.dtype == np.float32 for column in result.values())
    np.testing.assert_array_equal(batch, before)


def test_description(tiny):
    assert isinstance(tiny, Session)
    assert [(t.name, t.shape, t.dtype) for t in tiny.inputs] == [("image", (-1, 2, 3), "float32")]
    assert [(t.name, t.shape) for t in tiny.outputs] == [("negative", (-1, 2, 3)), ("size", (-1, 2, 3))]
    assert tiny.device == "cpu"
    assert tiny.runtime.split()[0] in _ONNX
    assert tiny.runtime.split()[1][0].isdigit()


def test_earlier_results_stay_as_they_were(tiny):
    ones = np.ones((1, 2, 3), np.float32)
    first = tiny.run(ones)
    tiny.run(7 * ones)
    np.testing.assert_array_equal(first["negative"], -ones)


def test_array_that_is_not_contiguous(tiny, rng):
    batch = rng.normal(size=(3, 2, 4)).astype(np.float32).transpose(2, 1, 0)
    np.testing.assert_array_equal(tiny.run(batch)["negative"], -batch)


def test_only_the_outputs_asked_for(tiny):
    assert list(tiny.run(np.ones((2, 2, 3), np.float32), ["size"])) == ["size"]
    assert list(tiny.run(np.ones((0, 2, 3), np.float32), ["size"])) == ["size"]
    with pytest.raises(UnknownNameError, match="'sice'; did you mean 'size'"):
        tiny.run(np.ones((2, 2, 3), np.float32), ["sice"])


@pytest.mark.parametrize(
    ("batch", "came"),
    [
        (np.ones((2, 3, 2), np.float32), r"float32 \(2, 3, 2\)"),
        (np.ones((2, 3), np.float32), r"float32 \(2, 3\)"),
        (np.ones((1, 2, 3), np.float64), r"float64 \(1, 2, 3\)"),
        (np.ones((), np.float32), r"float32 \(\)"),
    ],
)
def test_batch_that_does_not_fit(tiny, batch, came):
    with pytest.raises(ShapeError, match=rf"image: expected float32 \(N, 2, 3\), got {came}"):
        tiny.run(batch)


@pytest.mark.parametrize("runtime", _ONNX)
def test_outputs_in_the_order_of_the_card(tmp_path, runtime):
    path = onnx_file.write(tmp_path / "tiny.onnx", 1)
    session = open_session(path, runtime=runtime, outputs=["size", "negative"])
    assert [t.name for t in session.outputs] == ["size", "negative"]
    result = session.run(np.full((2, 2, 3), -3, np.float32))
    assert list(result) == ["size", "negative"]
    assert (result["size"] == 3).all()
    assert (result["negative"] == 3).all()
    with pytest.raises(UnknownNameError, match=r"output of model 'tiny.onnx' 'negativ'; did you mean 'negative'"):
        open_session(path, runtime=runtime, outputs=["negativ"])


def test_what_is_cut_off_is_not_computed(tmp_path):
    pytest.importorskip("openvino")
    path = onnx_file.write(tmp_path / "tiny.onnx", 1)

    def steps(*outputs: str) -> int:
        session = open_session(path, runtime="openvino", outputs=outputs)
        return len(session._request.get_compiled_model().get_runtime_model().get_ops())

    # An operation and the result it goes to.
    assert steps() - steps("size") == 2


def test_openvino_compiles_for_one_subject_whatever_the_file_allows(tmp_path):
    pytest.importorskip("openvino")
    session = open_session(onnx_file.write(tmp_path / "tiny.onnx", "N"), runtime="openvino")
    assert list(session._request.get_compiled_model().inputs[0].shape) == [1, 2, 3]


def test_openvino_runs_several_subjects_two_at_a_time(tmp_path, rng, monkeypatch):
    pytest.importorskip("openvino")
    session = open_session(onnx_file.write(tmp_path / "tiny.onnx"), runtime="openvino", threads=2)
    assert session._pair is None, "nothing is compiled before there are several"
    batch = rng.normal(size=(5, 2, 3)).astype(np.float32)
    np.testing.assert_array_equal(session.run(batch)["negative"], -batch)
    session._pair.result(timeout=60)
    alone, infer = [], session._infer
    monkeypatch.setattr(session, "_infer", lambda *args: alone.append(1) or infer(*args))
    for n in (2, 3, 4, 5):
        alone.clear()
        result = session.run(batch[:n])
        assert len(alone) == n % 2, "only the last of an odd number runs alone"
        np.testing.assert_array_equal(result["negative"], -batch[:n])
        np.testing.assert_array_equal(result["size"], np.abs(batch[:n]))


def test_exactly_openvino_waits_for_the_form_that_runs_several(tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    path, batch = onnx_file.write(tmp_path / "tiny.onnx"), np.ones((2, 2, 3), np.float32)
    for exact in (True, False):
        session = open_session(path, runtime="openvino", threads=2, exact=exact)
        alone, infer, compile_ = [], session._infer, session._compile
        monkeypatch.setattr(session, "_infer", lambda *args, alone=alone, infer=infer: alone.append(1) or infer(*args))
        slow = threading.Event()
        monkeypatch.setattr(
            session, "_compile", lambda *args, slow=slow, compile_=compile_: (slow.wait(0.2), compile_(*args))[1])
        session.run(batch)
        assert len(alone) == (0 if exact else 2)
        session._pair.result(timeout=60)


def test_openvino_with_one_thread_does_not_run_two_at_a_time(tmp_path):
    pytest.importorskip("openvino")
    session = open_session(onnx_file.write(tmp_path / "tiny.onnx"), runtime="openvino", threads=1)
    session.run(np.ones((3, 2, 3), np.float32))
    assert session._pair is None


@pytest.mark.parametrize("runtime", _ONNX)
def test_batch_fixed_to_another_size_is_refused(tmp_path, runtime):
    path = onnx_file.write(tmp_path / "four.onnx", 4)
    with pytest.raises(ShapeError, match=r"input 'image': expected a batch of 1 or of any size, got \(4, 2, 3\)"):
        open_session(path, runtime=runtime)


@pytest.mark.parametrize("runtime", _ONNX)
def test_failure_of_the_library_names_it(tmp_path, runtime, monkeypatch):
    session = open_session(onnx_file.write(tmp_path / "tiny.onnx"), runtime=runtime)
    monkeypatch.setattr(session, "_infer", lambda *_: (_ for _ in ()).throw(RuntimeError("out of\n memory")))
    with pytest.raises(ModelError, match=rf"'tiny.onnx': {runtime} [\d.]+ failed on cpu: out of memory"):
        session.run(np.ones((1, 2, 3), np.float32))


@pytest.mark.parametrize("runtime", _ONNX)
def test_number_of_threads(tmp_path, runtime):
    session = open_session(onnx_file.write(tmp_path / "tiny.onnx"), runtime=runtime, threads=1)
    if runtime == "openvino":
        assert session._request.get_compiled_model().get_property("INFERENCE_NUM_THREADS") == 1
    else:
        assert session._session.get_session_options().intra_op_num_threads == 1
    assert (session.run(np.ones((1, 2, 3), np.float32))["size"] == 1).all()


@pytest.mark.parametrize("network", _NETWORKS)
def test_libraries_agree_and_batches_equal_singles(testdata, photograph, network):
    _agree(testdata / "models" / network, photograph, *_NETWORKS[network])


def test_libraries_agree_on_the_landmarks_of_mediapipe(photograph):
    from pose_ros.errors import ModelMissingError
    from pose_ros.models.store import Store

    store = Store()
    try:
        card = store.card("blazepose-full")
        path = store.fetch(card)
    except ModelMissingError as error:
        pytest.skip(str(error))
    _agree(path, photograph, (256, 256), False, 1 / 255, card.outputs)


def _agree(path: Path, photograph: np.ndarray, size_hw: tuple[int, int], channels_first: bool, scale: float,
           outputs: Sequence[str] = ()) -> None:
    import cv2

    image = cv2.resize(photograph, size_hw[::-1]).astype(np.float32) * np.float32(scale)
    batch = np.stack([image, image[:, ::-1], image[::-1]])
    batch = batch.transpose(0, 3, 1, 2) if channels_first else batch
    runtimes = _TFLITE if path.suffix == ".tflite" else _ONNX
    if len(runtimes) < 2:
        pytest.skip(f"needs two libraries that read {path.suffix}, found {runtimes}")
    expected: dict[str, np.ndarray] = {}
    for runtime in runtimes:
        try:
            session = open_session(path, runtime=runtime, outputs=outputs)
        except ModelError as error:
            if "BatchNormalization" not in str(error):
                raise
            pytest.skip(f"this version cannot run the batch normalisation of {path.name}: {error}")
        session.run(batch)
        if pair := getattr(session, "_pair", None):
            pair.result(timeout=60)
        result = session.run(batch)
        assert [(n, v.shape[1:], v.dtype) for n, v in result.items()] == \
            [(t.name, t.shape[1:], np.dtype(t.dtype)) for t in session.outputs]
        for i in range(len(batch)):
            for name, single in session.run(batch[i : i + 1]).items():
                np.testing.assert_array_equal(result[name][i : i + 1], single, err_msg=f"{runtime} {name}")
        expected = expected or result
        for name, column in result.items():
            # Sums are rounded in another order; 1e-4 of the largest number is 0.03 px for landmarks in 256 px.
            np.testing.assert_allclose(column, expected[name], rtol=0, atol=1e-4 * np.abs(expected[name]).max(),
                                       err_msg=f"{runtime} and {runtimes[0]}: {name}")
