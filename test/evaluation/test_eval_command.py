# SPDX-License-Identifier: Apache-2.0
"""`pose-ros eval` with real networks on real labels: figures, engines, resuming, and what goes wrong."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_ros.cli.main import FAILED, MISSING, OK, USAGE, main
from pose_ros.errors import PoseRosError
from pose_ros.evaluation import Job, engines, estimate, score
from pose_ros.evaluation import job as jobs

MINI = "coco/person_keypoints.json"


@pytest.fixture
def cli(capsys):
    def call(*argv: object) -> tuple[int, str, str]:
        code = main([str(a) for a in argv])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def mini(testdata: Path) -> str:
    return f"{MINI}:{testdata / 'body2d/coco_mini'}"


def value(out: str, measure: str, which: int = 0) -> float:
    return json.loads(out)["results"][which]["measures"][measure]["value"]


@pytest.mark.usefixtures("models")
def test_figures_on_coco_are_those_of_the_benchmark(cli, mini):
    """docs/performance.md, which pycocotools agrees with."""
    code, out, _ = cli("eval", "--data", mini, "--model", "simplepose-ultralight", "--boxes", "truth", "--json",
                       "--resamples", 20)
    assert code == OK
    assert [round(value(out, name), 3) for name in ("AP", "AP50", "AP75")] == [0.535, 0.788, 0.611]
    result = json.loads(out)["results"][0]
    assert result["measures"]["AP"]["interval95"][0] < 0.535 < result["measures"]["AP"]["interval95"][1]
    assert result["published"] == [
        {"data": "coco", "split": "val2017", "measure": "AP", "value": 0.518, "comparable": False,
         "source": "https://github.com/dog-qiuqiu/Ultralight-SimplePose"}]
    assert list(result["keypoints"]["values"])[:2] == ["nose", "left_eye"]


@pytest.mark.usefixtures("models")
def test_average_precision_is_what_pycocotools_makes_of_the_same_answers(testdata):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    folder = testdata / "body2d/coco_mini"
    job = Job("coco", folder, "simplepose-ultralight", "person_keypoints.json", "truth")
    answers, truth, rows = estimate(job), job.dataset(), []
    for keypoints, scores, image in zip(answers.keypoints, answers.scores, answers.image, strict=True):
        sure = [float(s) for s in scores if s > 0.2]
        rows.append({"image_id": truth[int(image)].id, "category_id": 1, "score": sum(sure) / max(len(sure), 1),
                     "keypoints": np.column_stack([keypoints, scores]).astype(float).ravel().tolist()})  # fmt: skip
    with contextlib.redirect_stdout(io.StringIO()):
        labels = COCO(folder / "person_keypoints.json")
        oracle = COCOeval(labels, labels.loadRes(rows), "keypoints")
        oracle.evaluate()
        oracle.accumulate()
        oracle.summarize()
    ours = {m.name: m.value for m in score(truth, answers, truth.skeleton, 0).measures}
    expected = dict(zip(("AP", "AP50", "AP75", "APm", "APl", "AR"), oracle.stats, strict=False))
    assert ours == pytest.approx(expected, abs=1e-12)


@pytest.mark.usefixtures("models")
def test_labels_of_ones_own_are_matched_by_name(cli, mini):
    code, out, _ = cli("eval", "--data", mini.replace("coco", "coco-format", 1), "--model", "simplepose-ultralight",
                       "--json", "--resamples", 0)
    assert code == OK
    assert value(out, "PCK@0.2") > 0.8
    assert json.loads(out)["results"][0]["unknown_keypoints"] == []


@pytest.mark.usefixtures("models")
def test_hands_in_pixels_and_in_metres(cli, testdata):
    model = "mediapipe-hand-landmark-full"
    code, out, _ = cli("eval", "--data", f"freihand/test_freihand.json:{testdata}/hand/freihand",
                       "--data", f"interhand2.6m/data.json:{testdata}/hand/interhand2.6m", "--model", model, "--json")
    assert code == OK
    assert value(out, "PCK@0.2") > 0.9
    assert 10 < value(out, "P-MPJPE", 1) < 25 < value(out, "MPJPE", 1) < 60


@pytest.mark.usefixtures("models")
def test_every_engine_gives_the_same_answers(testdata, monkeypatch):
    monkeypatch.setattr(jobs, "SHARD", 3)
    folder = testdata / "body2d/coco_mini"
    job = Job("coco", folder, "simplepose-ultralight", "person_keypoints.json", "truth", limit=10)
    here = estimate(job)
    told: list[tuple[int, int]] = []
    processes = estimate(job, jobs=2, progress=lambda *done: told.append(done))
    pytest.importorskip("distributed")
    dask = estimate(job, jobs=2, engine="dask")
    assert len(here.scores) > 10
    assert sorted(told) == [(done, 10) for done in (3, 6, 9, 10)] or told[-1] == (10, 10)
    for other in (processes, dask):
        for name, column in vars(here).items():
            np.testing.assert_array_equal(column, getattr(other, name))


@pytest.mark.usefixtures("models")
def test_killed_run_goes_on_where_it_was_and_leaves_no_process(cli, mini, tmp_path):
    argv = ["eval", "--data", mini, "--model", "yolox-nano+simplepose-ultralight", "--limit", "12", "--resamples", "0",
            "--json"]
    script, answers, end = tmp_path / "script.py", tmp_path / "out/answers", time.monotonic() + 60
    # Workers import the script too.
    script.write_text("if __name__ == '__main__':\n"
                      "    import sys\n"
                      "    from pose_ros.cli.main import main\n"
                      "    from pose_ros.evaluation import job\n"
                      "    job.SHARD = 1\n"
                      "    sys.exit(main(sys.argv[1:]))\n")

    def start(*extra: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(script), *argv, "--output", str(tmp_path / "out"), *extra]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))

    process = start("--jobs", "2")
    while len(list(answers.glob("*/*.npz"))) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    workers = _children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = {path: path.stat().st_mtime_ns for path in answers.glob("*/*.npz")}
    assert 2 <= len(kept) < 12
    assert len(workers) >= 2
    while any(_runs(pid) for pid in workers) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(_runs(pid) for pid in workers)
    resumed = start("--resume")
    out, _ = resumed.communicate()
    assert resumed.returncode == OK
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert len(list(answers.glob("*/*.npz"))) == 12
    assert out == cli(*argv)[1]


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
        except OSError:
            continue  # it has ended meanwhile
    return found


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.usefixtures("models")
def test_other_questions_than_those_that_were_answered_are_refused(cli, mini, tmp_path):
    common = ["eval", "--data", mini, "--model", "simplepose-ultralight", "--boxes", "truth", "--limit", 4,
              "--output", tmp_path, "--resamples", 0]
    assert cli(*common)[0] == OK
    code, _, err = cli(*common)
    assert code == USAGE
    assert "add --resume" in err
    assert cli(*common, "--resume")[0] == OK
    code, _, err = cli(*common, "--resume", "--set", "estimator.flip_test=true")
    assert code == USAGE
    assert "settings was" in err
    assert "flip_test" in err
    code, _, err = cli(*common, "--resume", "--limit", 5)
    assert code == USAGE
    assert "images was 4, is 5" in err


@pytest.mark.usefixtures("models")
def test_reports_and_pictures(cli, mini, tmp_path):
    code, _, _ = cli("eval", "--data", mini, "--model", "simplepose-ultralight", "--boxes", "truth", "--limit", 9,
                     "--output", tmp_path, "--plot", "--worst", 3, "--resamples", 20)
    assert code == OK
    text = (tmp_path / "report.md").read_text()
    assert "| simplepose-ultralight | 0." in text
    assert "coco val2017: AP 0.518" in text
    assert "https://github.com/dog-qiuqiu/Ultralight-SimplePose" in text
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["schema"] == "pose_ros.eval/2"
    plot = cv2.imread(str(tmp_path / "keypoints_coco_person_keypoints.json.png"))
    assert plot.std() > 10
    pictures = sorted((tmp_path / "worst/coco_person_keypoints.json_simplepose-ultralight").iterdir())
    assert [p.name for p in pictures] == ["01.jpg", "02.jpg", "03.jpg"]
    pair = cv2.imread(str(pictures[0]))
    assert pair.shape == (424, 800, 3)
    assert np.abs(pair[24:, :400].astype(int) - pair[24:, 400:]).max() > 50  # two different drawings


@pytest.mark.parametrize(("argv", "code", "says"), [
    ("--data cocos:{0}/body2d/coco_mini --model blazepose-full", USAGE, "did you mean 'coco'"),
    ("--data coco --model blazepose-full", USAGE, "POSE_ROS_DATA"),
    ("--data coco: --model blazepose-full", USAGE, "after the colon"),
    ("--data coco:{0}/nowhere --model blazepose-full", MISSING, "expected the folder"),
    ("--data coco:{0}/hand --model blazepose-full", MISSING, "annotations/person_keypoints_"),
    ("--data mpii/test_mpii.json:{0}/body2d/mpii --model simplepose-ultralight", USAGE, "'head'"),
    ("--data {1} --model blazepose-fool", USAGE, "did you mean"),
    ("--data ap10k/test_ap10k.json:{0}/animal/ap10k --model pfld-68", USAGE, "data sets it can be judged by: "),
    ("--data {1} --model movenet-multipose --boxes truth", USAGE, "leave --boxes away"),
    ("--data {1} --model yolox-nano+simplepose-ultralight --boxes truth", USAGE, "--model simplepose-ultralight"),
    ("--data {1} --model blazepose-full --boxes mine", USAGE, "truth, keypoints, detector"),
    ("--data {1} --model blazepose-full --limit -1", USAGE, "--limit"),
    ("--data {1} --model blazepose-full --jobs 0", USAGE, "--jobs"),
    ("--data {1} --model blazepose-full --engine ray", USAGE, "processes, dask"),
    ("--data {1} --model blazepose-full --scheduler tcp://localhost:1", USAGE, "--engine dask"),
    ("--data {1} --model blazepose-full --set treads=3", USAGE, "threads"),
    ("--data {1} --model blazepose-full --worst 3", USAGE, "--output"),
], ids=lambda x: x if isinstance(x, str) else None)  # fmt: skip
@pytest.mark.usefixtures("models")
def test_bad_input_is_told_in_one_paragraph(cli, testdata, mini, monkeypatch, argv, code, says):
    monkeypatch.delenv("POSE_ROS_DATA", raising=False)
    ended, out, err = cli("eval", *argv.format(testdata, mini).split())
    assert (ended, out) == (code, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("models")
def test_estimators_that_look_in_rotated_regions_say_when_labels_do_not_tell_them(cli, mini):
    code, _, err = cli("eval", "--data", mini, "--model", "blazepose-full", "--boxes", "truth")
    assert code == USAGE
    assert "take --boxes detector" in err


def test_killed_worker_is_told(testdata, monkeypatch):
    job = Job("coco", testdata / "body2d/coco_mini", "simplepose-ultralight", "person_keypoints.json", "truth")
    monkeypatch.setattr(engines, "answers", _dies)
    with pytest.raises(PoseRosError, match="fewer --jobs"):
        list(engines.each(job, [((0,), (1,)), ((2,), (3,))], jobs=2))


def _dies(*_: object) -> None:
    os._exit(9)


@pytest.mark.usefixtures("models")
def test_missing_picture_is_named_also_by_workers(cli, testdata, tmp_path):
    (tmp_path / "person_keypoints.json").symlink_to(testdata / "body2d/coco_mini/person_keypoints.json")
    code, _, err = cli("eval", "--data", f"{MINI}:{tmp_path}", "--model", "simplepose-ultralight", "--boxes", "truth",
                       "--jobs", 2)
    assert code == FAILED
    assert "expected this picture, which is not there" in err
