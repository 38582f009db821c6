# SPDX-License-Identifier: Apache-2.0
"""``pose-ros bench``: what its numbers contain, two results compared, other programs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from pose_ros.benching import beside, stream
from pose_ros.benching.compare import compare
from pose_ros.benching.document import read, spread
from pose_ros.benching.machine import Others, machine
from pose_ros.benching.stages import CpuStages
from pose_ros.cli import bench_beside
from pose_ros.core.frame import Frame
from pose_ros.errors import ConfigError
from pose_ros.media.calibration import guess_camera
from pose_ros.media.video import write_image


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of four bright images, each of another grey."""
    for i in range(4):
        write_image(tmp_path / "photos" / f"{i}.png", np.full((48, 64, 3), 150 + 20 * i, np.uint8))
    return tmp_path / "photos"


@pytest.fixture
def measured(cli, toy, photos, tmp_path) -> Path:
    """A file of figures."""
    path = tmp_path / "a.json"
    ran = cli("bench", "stages", "--model", toy, "--source", photos, "--images", 12, "--warm-up", 2,
              "--set", "estimator.delay=0.01", "--output", path, "--explain")
    assert ran.code == 0, ran.err
    assert "whole image" in ran.out
    assert "decoding and drawing are not" in ran.out
    return path


def changed(path: Path, **parts: object) -> Path:
    """Return a copy of a file of figures with other parts."""
    copy = path.with_name("b.json")
    copy.write_text(json.dumps({**json.loads(path.read_text()), **parts}))
    return copy


def test_stages_hold_all_that_makes_figures_comparable(measured):
    data = read(measured)
    rows = {row["case"]: row["numbers"] for row in data["rows"]}
    assert next(iter(rows)) == "whole image"
    assert {"estimate", "track", "run"} <= rows.keys()
    assert rows["estimate"]["wall_ms"]["count"] == rows["estimate"]["cpu_ms"]["count"] == rows["run"]["images"] == 12
    # The toy sleeps: that is time on the wall, and no processor time.
    assert rows["whole image"]["wall_ms"]["p99"] >= rows["estimate"]["wall_ms"]["p50"] >= 10
    assert rows["estimate"]["cpu_ms"]["p50"] < 10
    assert rows["whole image"]["share"] == 1
    assert rows["run"]["subjects"] == 1
    assert {name for numbers in rows.values() for name in numbers} == data["means"].keys()
    assert data["workload"] == {"source": str(measured.parent / "photos"), "people": 0, "size": "64x48", "clip": 4,
                                "fps": 10.0}
    assert data["options"]["set"] == ["estimator.delay=0.01"]
    assert data["machine"]["usable_cores"] == len(os.sched_getaffinity(0))
    assert data["versions"]["numpy"] == np.__version__
    assert data["command"].startswith("pose-ros bench stages --model toy")


def test_an_image_alone_is_looked_at_anew_every_time(cli, toy, photos):
    ran = cli("bench", "stages", "--model", toy, "--source", photos / "0.png", "--images", 3, "--warm-up", 1, "--json")
    cases = [row["case"] for row in json.loads(ran.out)["rows"]]
    assert "estimate" in cases
    assert "track" not in cases


@pytest.mark.parametrize(("words", "said"), [
    (["stages", "--source", "nowhere.mp4"], "no such file"),
    (["stages", "--source", "PHOTOS", "--people", "2"], "expected only with the source 'demo'"),
    (["ros", "--source", "demo", "nowhere.mp4"], "no such file"),
    (["ros", "--source", "PHOTOS", "--people", "2"], "expected only with the source 'demo'"),
    (["stages", "--size", "640"], "expected WIDTHxHEIGHT"),
    (["ros", "--rate", "0"], "expected a number above 0"),
    (["ros", "--cameras", "0"], "expected a whole number from 1 on"),
    (["ros", "--set", "delay"], "expected KEY=VALUE"),
    (["beside"], "expected --rtmlib-python or --mediapipe-python"),
    (["beside", "--mediapipe-python", "python3", "--work", "boxes"], "expected --rtmlib-python"),
    (["beside", "--mediapipe-python", "/no/python", "--work", "pose"], "got '/no/python'"),
    (["beside", "--rtmlib-python", sys.executable, "--work", "boxes"], "rtmlib does not work there: No module"),
])
def test_bad_input_is_named(cli, toy, photos, words, said):
    words = [str(photos) if word == "PHOTOS" else word for word in words]
    ran = cli("bench", *words, *(["--model", toy] if words[0] != "beside" else []))
    assert ran.code in (1, 2)
    assert said in ran.err
    assert "fault of pose-ros" not in ran.err


def test_spread_is_numpys_percentiles(rng):
    values = rng.random(1000)
    found = spread(values)
    assert found["count"] == 1000
    assert [found[f"p{p}"] for p in (50, 95, 99)] == pytest.approx(np.percentile(values, [50, 95, 99]), abs=1e-4)
    assert spread([]) == {"count": 0}


def test_stages_that_are_entered_twice_add_up():
    stages = CpuStages()
    for _ in range(2):
        with stages("work"):
            sum(range(200_000))
    assert stages.ms["work"] > 0
    assert 0 < stages.cpu_ms["work"] <= stages.ms["work"] * 1.5


# --- two results ---------------------------------------------------------------------------------------------------


def test_compare_tells_ratios_and_what_differs(cli, measured, tmp_path):
    rows = json.loads(measured.read_text())["rows"]
    for row in rows:
        for number in row["numbers"].values():
            if isinstance(number, dict):
                number.update({key: 2 * value for key, value in number.items() if key != "count"})
    data = json.loads(measured.read_text())
    slower = changed(measured, rows=rows, options={**data["options"], "model": "toy2"})
    ran = cli("bench", "compare", measured, slower, "--plot", tmp_path / "plot.png")
    assert ran.code == 0, ran.err
    line = next(line for line in ran.out.splitlines() if line.startswith("estimate") and "wall_ms p50" in line)
    assert line.split()[-2:] == ["2.00", "worse"]
    assert any(line.split() == ["options", "model", "toy", "toy2"] for line in ran.out.splitlines())
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    assert cli("bench", "compare", measured, slower, "--limit", "1.5").code == 1
    assert cli("bench", "compare", slower, measured, "--limit", "1.5").code == 0  # better
    answer = json.loads(cli("bench", "compare", measured, slower, "--limit", "1.5", "--json").out)
    assert "estimate: wall_ms p50" in answer["worse than the limit"]
    assert {"part": "options", "key": "model", "a": "toy", "b": "toy2"} in answer["differences"]


def test_more_is_better_of_rates():
    def data(rate):
        return {"kind": "x", "machine": {}, "versions": {}, "options": {}, "workload": {}, "remarks": [],
                "means": {"rate": {"unit": "1/s", "better": "more"}, "n": {"unit": "", "better": ""}},
                "rows": [{"case": "c", "numbers": {"rate": rate, "n": 3}}]}

    (rate, count), told, alone = compare(data(10.0), data(5.0))
    assert (rate.ratio, rate.worse) == (0.5, 2.0)
    assert count.worse is None
    assert not told
    assert not alone


def test_what_cannot_be_compared_is_refused(cli, measured, tmp_path):
    data = json.loads(measured.read_text())
    other = data["workload"] | {"source": "another.mp4"}
    assert "expected the same work in both" in cli("bench", "compare", measured, changed(measured, workload=other)).err
    assert cli("bench", "compare", measured, changed(measured, workload=other), "--anyway").code == 0
    for parts, said in (
        ({"kind": "ros"}, "expected two documents of one kind, got 'stages' and 'ros'"),
        ({"rows": [{"case": "else", "numbers": {}}]}, "expected a case that both have"),
        ({"schema": "pose_ros.run/1"}, "expected the schema 'pose_ros.bench/1', got 'pose_ros.run/1'"),
        ({"rows": [3]}, "expected a case and its numbers in row 0"),
        ({"machine": None}, "expected 'machine' to be a dict"),
    ):
        ran = cli("bench", "compare", measured, changed(measured, **parts), "--anyway")
        assert ran.code == 2
        assert said in ran.err
    (tmp_path / "text.json").write_text("no json")
    assert "expected JSON" in cli("bench", "compare", measured, tmp_path / "text.json").err
    assert "cannot be read" in cli("bench", "compare", measured, tmp_path / "none.json").err
    ran = cli("bench", "compare", measured, measured, "--plot", tmp_path / "plot.abc")
    assert ran.code == 2
    assert "expected the ending of a picture" in ran.err


# --- what is shown -------------------------------------------------------------------------------------------------


def test_a_clip_goes_forwards_and_backwards():
    frames = [Frame(np.full((2, 2, 3), i, np.uint8)) for i in range(3)]
    shown = [frame for _, frame in zip(range(7), stream.endless(frames, 20.0), strict=False)]
    assert [frame.image[0, 0, 0] for frame in shown] == [0, 1, 2, 1, 0, 1, 2]
    assert np.diff([frame.stamp_ns for frame in shown]).tolist() == [50_000_000] * 6


def test_images_are_brought_to_a_size_without_being_bent():
    camera = guess_camera((64, 48), 1.0)
    frame = Frame(np.full((48, 64, 3), 255, np.uint8), camera=camera)
    half = stream.fit(frame, (32, 24))
    assert half.camera is not None
    assert half.camera.size_wh == (32, 24)
    wide = stream.fit(frame, (128, 48))
    assert wide.camera is None
    assert wide.image[:, :64].min() == 255
    assert wide.image[:, 64:].max() == 0


def test_people_stand_side_by_side_each_at_another_moment():
    pytest.importorskip("skimage", reason="the photograph of the demonstration is in scikit-image")
    frames, fps = stream.clip("demo", 5, (640, 480))
    assert fps == 30
    assert frames[0].size_wh == (640, 480)
    # Four columns and two rows, of which three places are empty.
    places = [frames[0].image[y : y + 240, x : x + 160].mean() > 0 for y in (0, 240) for x in range(0, 640, 160)]
    assert places == [True] * 5 + [False] * 3


def test_the_machine_says_how_busy_it_is():
    assert machine()["cores"] == os.cpu_count()
    (remark,) = Others().remarks()
    assert "others used" in remark


# --- other programs --------------------------------------------------------------------------------------------------

_MEDIAPIPE = """
import json, os
class Pose:
    def __init__(self, model_complexity): self.complexity = model_complexity
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def process(self, image):
        print("programs print")
        with open(os.environ["SEEN"], "a") as file: file.write(f"{image[0, 0].tolist()}\\n")
class pose: Pose = Pose
class solutions: pose = pose
"""
_RTMLIB = """
import os, numpy as np
class Tool:
    def __init__(self, file, size, backend, **settings): self.size = size
def saw(image):
    with open(os.environ["SEEN"], "a") as file: file.write(f"{image[0, 0].tolist()}\\n")
class YOLOX(Tool):
    def __call__(self, image): saw(image); return np.zeros((2, 4)), [0, 7]
class ViTPose(Tool):
    def __call__(self, image, bboxes): assert len(bboxes) == 1; return np.zeros((1, 17, 2)), np.zeros((1, 17))
class RTMPose(Tool):
    def __call__(self, image, bboxes):
        assert self.size == (192, 256) and bboxes.shape == (2, 4), (self.size, bboxes.shape)
"""


@pytest.fixture
def others(tmp_path, monkeypatch) -> Path:
    """An environment with toys in place of the other programs; returns the file in which these say what they saw."""
    folder = tmp_path / "others"
    folder.mkdir()
    (folder / "mediapipe.py").write_text(_MEDIAPIPE)
    (folder / "rtmlib.py").write_text(_RTMLIB)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    return tmp_path / "seen"


def test_mediapipe_is_shown_the_same_images(cli, toy, tmp_path, others, monkeypatch):
    for i in range(3):
        write_image(tmp_path / "photos" / f"{i}.png", np.full((48, 64, 3), (200, 150, 100 + i), np.uint8))
    monkeypatch.setattr(bench_beside, "SOLUTIONS", {"pose": bench_beside.Solution({"model": toy})})
    ran = cli("bench", "beside", "--mediapipe-python", sys.executable, "--source", tmp_path / "photos", "--rounds", 2,
              "--images", 4, "--json")
    assert ran.code == 0, ran.err
    data = json.loads(ran.out)
    theirs, ours = (row["numbers"] for row in data["rows"])
    assert [row["case"] for row in data["rows"]] == ["pose on the clip: mediapipe", "pose on the clip: here"]
    assert theirs["image_ms"]["count"] == ours["image_ms"]["count"] == 2 * 4
    assert ours["times"] == pytest.approx(ours["images_per_s"] / theirs["images_per_s"], abs=1e-4)
    seen = [json.loads(line) for line in others.read_text().splitlines()]
    turn = bench_beside.WARM_UP + 4
    assert len(seen) == 3 * turn
    assert [blue for *_, blue in seen[:6]] == [100, 101, 102, 101, 100, 101]
    assert seen[0] == [200, 150, 100]


def test_rtmlib_is_given_the_same_work(cli, toy, photos, others, monkeypatch):
    pytest.importorskip("torch", reason="the network is exported with PyTorch")
    pytest.importorskip("onnx", reason="the network is exported as ONNX")
    monkeypatch.setattr(bench_beside, "MODEL", "rtmpose-t-pth")
    monkeypatch.setattr(bench_beside, "_SETTLE_S", 0.1)
    monkeypatch.setattr(bench_beside, "pair", lambda store: {
        "detector": "d.onnx", "detector_wh": (416, 416), "estimator": "e.onnx", "estimator_wh": (192, 256)})
    monkeypatch.setattr(bench_beside, "pair_pipeline", lambda precision, **_: bench_beside.build(toy))
    ran = cli("bench", "beside", "--rtmlib-python", sys.executable, "--source", photos, "--rounds", 1, "--images", 4,
              "--people", 2, "--backends", "onnxruntime", "--json")
    assert ran.code == 0, ran.err
    rows = {row["case"]: row["numbers"] for row in json.loads(ran.out)["rows"]}
    assert list(rows) == [
        "rtmpose-t-pth, 2 in given boxes: rtmlib, onnxruntime",
        "rtmpose-t-pth, 2 in given boxes: here, openvino, float32",
        "yolox-nano+simplepose-ultralight on the clip: rtmlib, onnxruntime",
        "yolox-nano+simplepose-ultralight on the clip: here, openvino, float32, detector in every image",
        "yolox-nano+simplepose-ultralight on the clip: here, openvino, float32, detector when needed",
    ]
    assert [row["image_ms"]["count"] for row in rows.values()] == [2, 2, 4, 4, 4]
    assert len(others.read_text().splitlines()) == 2 * 4


def test_what_another_program_raises_is_told(others):
    with (
        beside.Other("mediapipe", Path(sys.executable)) as other,
        pytest.raises(ConfigError, match=r"mediapipe does not work there: FileNotFoundError.*none\.npy"),
    ):
        other("video", solution="pose", clip="none.npy", most=1, complexity=1, warm_up=0, count=1)


def test_a_program_that_dies_is_told(others):
    with beside.Other("mediapipe", Path(sys.executable)) as other:
        other._process.kill()
        other._process.wait()
        with pytest.raises(ConfigError, match=r"--mediapipe-python: .* its process has ended: exit code -9"):
            other("video", solution="pose")


def test_rows_beside_are_compared_with_the_fastest_other():
    times = {"slow": [[20.0, 20.0]] * 3, "fast": [[10.0, 10.0]] * 3, "here": [[5.0, 5.0], [4.0, 4.0], [20.0, 20.0]]}
    slow, fast, here = (row["numbers"] for row in beside.rows("work", times))
    assert "times" not in slow
    assert (slow["images_per_s"], fast["images_per_s"], here["images_per_s"]) == (50.0, 100.0, 200.0)
    assert here["times"] == here["round_times"] == 2.0
    assert here["image_ms"]["count"] == 6
