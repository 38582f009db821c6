# SPDX-License-Identifier: Apache-2.0
"""Outputs from inside a network, with inputs left out that only other outputs need: a real file, by each library."""

from __future__ import annotations

import numpy as np
import pytest

from pose_ros.errors import ShapeError, UnknownNameError
from pose_ros.runtime import open_session

#: Its outputs are classes; it computes chances on the way, and has a threshold below which a class is not said.
FILE = "models/action/point_history_classifier.onnx"


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_chances_before_the_best_is_chosen(testdata, runtime, rng):
    pytest.importorskip(runtime)
    import onnxruntime

    path, batch = testdata / FILE, rng.normal(0, 0.1, (7, 32)).astype(np.float32)
    session = open_session(path, runtime=runtime, outputs=("base_scores",))
    assert [(t.name, t.shape) for t in session.inputs] == [("input", (-1, 32))]
    (chances,) = session.run(batch).values()
    assert chances.shape == (7, 4)
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    given = {"input": batch, "score_threshold": np.array(0, np.float32)}
    whole = onnxruntime.InferenceSession(str(path)).run(None, given)[0]
    assert (chances.argmax(axis=1) == whole).all()


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_what_is_not_cut_keeps_its_inputs_and_names(testdata, runtime):
    pytest.importorskip(runtime)
    with pytest.raises(ShapeError, match="score_threshold"):
        open_session(testdata / FILE, runtime=runtime, outputs=("class_ids",))
    with pytest.raises((UnknownNameError, ShapeError)):
        open_session(testdata / FILE, runtime=runtime, outputs=("base_score",))
