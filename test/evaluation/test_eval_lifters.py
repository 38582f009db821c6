# SPDX-License-Identifier: Apache-2.0
"""Lifters by given keypoints: one that knows the truth, and a network with random weights."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pose_ros import datasets, wiring
from pose_ros.cli.main import OK, USAGE, main
from pose_ros.core.convert import conversion
from pose_ros.core.poses import Poses
from pose_ros.evaluation import Job, estimate, protocol, score
from pose_ros.evaluation.estimates import Estimates, concatenate
from pose_ros.evaluation.judges.base import judged
from pose_ros.lifters.base import Lifter
from pose_ros.lifters.lifting import to_lift, undistorted
from pose_ros.metrics.mpjpe import auc3d, mpjpe, mpjve, n_mpjpe, p_mpjpe, pck3d
from pose_ros.models.store import Store
from pose_ros.skeletons import catalogue

STUDIO = "multiview/panoptic_160906_band1"


class Knowing(Lifter):
    """Says the truth that belongs to the keypoints in the middle of its window."""

    takes, window, ahead, step_s = catalogue.get("h36m17"), 5, 2, 0.02

    def __init__(self, dataset: datasets.Dataset) -> None:
        self.skeleton, self.windows = catalogue.get("h36m17"), []
        way, metres = to_lift(dataset.skeleton, self.takes), conversion(dataset.skeleton, self.skeleton)
        self._given, self._truth = [], []
        for sample in dataset:
            rows = judged(sample)
            self._given.append(way.points(undistorted(sample.keypoints[rows].astype(np.float32), sample.camera)))
            self._truth.append(metres.points(sample.points[rows].astype(np.float32)))
        self._given, self._truth = np.concatenate(self._given), np.concatenate(self._truth)

    def lift(self, keypoints, scores, size_wh):
        assert np.isfinite(keypoints).all()
        self.windows.append(keypoints)
        now = keypoints[:, self.window - 1 - self.ahead]
        # What was not given is filled in.
        same = (np.abs(now[:, None] - self._given).max(axis=3) < 1e-3).sum(axis=2)
        assert (same.max(axis=1) >= 8).all()
        return self._truth[same.argmax(axis=1)]


@pytest.fixture
def h36m(testdata, tmp_path):
    """Real rows of Human3.6M as the table of mmpose that they were taken from."""
    return _table(testdata, "h36m", tmp_path / "h36m", "annotation_body3d/fps50/h36m_test.npz", lambda row: (
        "annotation_body3d/cameras.json", f"{row['subject']}.{row['camera_id']}"))


@pytest.fixture
def mpi(testdata, tmp_path):
    """The same of MPI-INF-3DHP."""
    return _table(testdata, "mpi_inf_3dhp", tmp_path / "mpi", "annotations/mpi_inf_3dhp_train.npz", lambda row: (
        "annotations/cameras_train.json", row["image"].rpartition("_")[0]))


def _table(testdata, name, folder, file, camera):
    rows = json.loads((testdata / f"body3d/{name}/{name}.json").read_text())
    pixels, path = np.array([row["kp2d"] for row in rows]), folder / file
    path.parent.mkdir(parents=True)
    np.savez(path, imgname=[row["image"] for row in rows], part=pixels, S=[row["kp3d_camera_m"] for row in rows],
             center=pixels[..., :2].mean(axis=1), scale=np.ptp(pixels[..., 1], axis=1) / 200)
    (folder / camera(rows[0])[0]).write_text(json.dumps({camera(row)[1]: row["camera"] for row in rows}))
    return folder


def numbers(scores) -> dict[str, float]:
    return {m.name: m.value for m in scores.measures}


def knowing(job: Job, monkeypatch) -> tuple[Knowing, Estimates]:
    """Let one answer a job who knows."""
    from pose_ros.evaluation import predict

    lifter = Knowing(job.dataset())
    monkeypatch.setattr(wiring, "alone", lambda *_: lifter)
    predict._runner.cache_clear()
    answers = estimate(job)
    predict._runner.cache_clear()
    return lifter, answers


def test_who_knows_the_truth_has_no_error(h36m, my_lifter, monkeypatch):
    job = Job("h36m", h36m, "my-lifter")
    lifter, answers = knowing(job, monkeypatch)
    scores = score(job.dataset(), answers, job.skeleton(), 10, job.protocol())
    assert numbers(scores) == pytest.approx({"MPJPE": 0, "P-MPJPE": 0, "N-MPJPE": 0}, abs=1e-3)
    assert scores.shared.all()
    assert scores.found == len(scores.subjects) == 2
    for window in np.concatenate(lifter.windows):  # of one picture, which stands still
        assert (window == window[0]).all()


def test_a_joint_that_the_lifter_lacks_is_not_the_root(mpi, my_lifter, monkeypatch):
    """The pelvis of MPI-INF-3DHP is none of Human3.6M: poses are compared around the middle of the hips."""
    job = Job("mpi-inf-3dhp", mpi, "my-lifter")
    _, answers = knowing(job, monkeypatch)
    scores = score(job.dataset(), answers, job.skeleton(), 0, job.protocol())
    found = numbers(scores)
    assert (found["MPJPE"], found["3DPCK"]) == (pytest.approx(0, abs=1e-3), 1)
    assert found["AUC"] == pytest.approx(30 / 31)  # nothing is nearer than 0
    assert not scores.shared[job.dataset().skeleton.root]


def test_moments_of_a_video_come_in_order(testdata, my_lifter, monkeypatch):
    job = Job("panoptic", testdata / STUDIO, "my-lifter", views=("00_12",))
    lifter, answers = knowing(job, monkeypatch)
    scores = score(job.dataset(), answers, job.skeleton(), 10, job.protocol())
    assert np.isnan(scores.measures[0].low)  # moments of one video say nothing about others
    shared = [scores.per_part[scores.skeleton.index[n]] for n in ("left_wrist", "right_knee", "left_ankle")]
    np.testing.assert_allclose(shared, 0, atol=1e-3)
    steps = np.linalg.norm(np.diff(np.concatenate(lifter.windows), axis=1), axis=3)
    assert 0 < np.median(steps) < 5  # people do not jump from moment to moment
    assert (steps[0, :2] == 0).all()  # nothing moves before the first moment
    assert numbers(scores)["MPJVE"] < 2


def test_numbers_are_those_of_the_metrics(testdata, rng):
    """A walk of one person, wrong by noise, judged as a set with 3DPCK is."""
    whole = datasets.open("panoptic", testdata / STUDIO)
    dataset = whole.select([i for i in range(31 * 6) if whole[i].view == "00_12"])
    noise, parts = rng.normal(0, 0.04, (len(dataset), 4, len(dataset.skeleton), 3)), []
    for sample, off in zip(dataset, noise, strict=True):
        rows = judged(sample)
        points = (sample.points[rows] + off[rows]) * 1.3
        xy = np.nan_to_num(sample.keypoints[rows])
        parts.append(Estimates.of(Poses(dataset.skeleton, xy, np.ones(xy.shape[:2]), local_points=points), rows))
    answers = concatenate(parts)
    dataset.card = datasets.get("mpi-inf-3dhp")
    lifted = protocol.Protocol("lifted")
    found = numbers(score(dataset, answers, dataset.skeleton, 0, lifted))
    truth = np.concatenate([s.points[judged(s)] for s in dataset])
    root = dataset.skeleton.root
    said = answers.points
    assert found["MPJPE"] == pytest.approx(1e3 * np.mean(mpjpe(said, truth, root)), rel=1e-5)
    assert found["P-MPJPE"] == pytest.approx(1e3 * np.mean(p_mpjpe(said, truth)), rel=1e-5)
    assert found["N-MPJPE"] == pytest.approx(1e3 * np.mean(n_mpjpe(said, truth, root)), rel=1e-5)
    assert found["3DPCK"] == pytest.approx(pck3d(said, truth, root), rel=1e-5)
    assert found["AUC"] == pytest.approx(auc3d(said, truth, root), rel=1e-5)
    tracks = np.concatenate([s.tracks[judged(s)] for s in dataset])
    each = np.concatenate([mpjve(said[tracks == t], truth[tracks == t], root) for t in np.unique(tracks)])
    assert found["MPJVE"] == pytest.approx(1e3 * each.mean(), rel=1e-5)


def test_a_network_with_random_weights_goes_all_the_way(testdata, h36m, my_lifter, capsys):
    code = main(["eval", "--data", f"h36m:{h36m}", "--data", f"panoptic:{testdata / STUDIO}", "--model", "my-lifter",
                 "--limit", "62", "--resamples", "10", "--json"])
    assert code == OK
    person, studio = json.loads(capsys.readouterr().out)["results"]
    for result in (person, studio):
        assert (result["boxes"], result["found"]) == ("truth", result["subjects"])
        assert 100 < result["measures"]["P-MPJPE"]["value"] < result["measures"]["MPJPE"]["value"] < 3000
    assert "MPJVE" not in person["measures"]
    assert studio["measures"]["MPJVE"]["unit"] == "mm/frame"
    assert Job("h36m", h36m, "my-lifter").config(Store())["lifter"] == {"ahead": 13}


def test_a_lifter_needs_metres_and_no_boxes(testdata, h36m, my_lifter, capsys):
    mini = f"coco/person_keypoints.json:{testdata / 'body2d/coco_mini'}"
    assert main(["eval", "--data", mini, "--model", "my-lifter"]) == USAGE
    assert "judged in metres" in capsys.readouterr().err
    assert main(["eval", "--data", f"h36m:{h36m}", "--model", "my-lifter", "--boxes", "keypoints"]) == USAGE
    assert "leave --boxes away" in capsys.readouterr().err
    (h36m / "annotation_body3d/cameras.json").unlink()
    assert main(["eval", "--data", f"h36m/test:{h36m}", "--model", "my-lifter"]) == USAGE
    assert "expected the size of" in capsys.readouterr().err
