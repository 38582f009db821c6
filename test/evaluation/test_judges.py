# SPDX-License-Identifier: Apache-2.0
"""Detectors alone, ids over videos, and several cameras: on answers that are known, and through real networks."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import pickle
from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.io import savemat

from pose_ros import datasets
from pose_ros.cli.main import OK, USAGE, main
from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections
from pose_ros.errors import ConfigError
from pose_ros.evaluation import Job, estimate, judges, protocol, score
from pose_ros.evaluation.estimates import Estimates, concatenate
from pose_ros.evaluation.judges.base import judged
from pose_ros.evaluation.judges.views import fused
from pose_ros.metrics import people3d
from pose_ros.models import cards
from pose_ros.models.store import Store
from pose_ros.skeletons import catalogue

MINI = "body2d/coco_mini"
#: Of the studio, those that see all of it well.
CAMERAS = ("00_03", "00_06", "00_12", "00_13", "00_23")


def numbers(scores) -> dict[str, float]:
    return {m.name: m.value for m in scores.measures}


def by_pycocotools(labels, rows, oracle=None):
    """Return its numbers for boxes, by our names."""
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = labels
        coco.createIndex()
        evaluation = (oracle or cocoeval.COCOeval)(coco, coco.loadRes(rows), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    s = evaluation.stats
    return {"AP": s[0], "AP50": s[1], "AP75": s[2], "APs": s[3], "APm": s[4], "APl": s[5], "AR": s[8]}


def as_results(answers, dataset):
    """Return boxes as COCO's results; it measures from the edge of the picture."""
    boxes = answers.boxes.astype(float) + 0.5
    xywh = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    return [{"image_id": dataset[int(i)].id, "category_id": 1, "bbox": box.tolist(), "score": float(score_)}
            for i, box, score_ in zip(answers.image, xywh, answers.subject_scores, strict=True)]


@pytest.mark.usefixtures("models")
def test_a_detector_alone_is_judged_as_by_pycocotools(testdata):
    job = Job("coco", testdata / MINI, "yolox-nano", "person_keypoints.json")
    answers, dataset = estimate(job), job.dataset()
    scores = score(dataset, answers, job.skeleton(), 10, job.protocol())
    labels = json.loads((testdata / MINI / "person_keypoints.json").read_text())
    assert numbers(scores) == pytest.approx(by_pycocotools(labels, as_results(answers, dataset)), abs=1e-12)
    assert round(scores.measures[0].value, 3) == 0.479  # docs/performance.md
    assert (scores.parts, scores.parts_of) == (("person",), "categories")
    assert scores.per_part[0] == scores.measures[0].value
    assert len(scores.subjects) == 92  # also those without keypoints; the crowd is not one


def test_crowds_take_any_number_and_who_is_ignored_takes_one(testdata, tmp_path):
    """COCO's own evaluation knows but crowds; told to ignore others too, it says the same. Many scores are equal."""
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    labels = json.loads((testdata / MINI / "person_keypoints.json").read_text())
    rng, found = np.random.default_rng(0), []
    for number, row in enumerate(labels["annotations"]):
        row["ignore"] = int(number % 4 == 0)
        for _ in range(3):  # all but one of three are wrong, and in a crowd none is
            box = np.array(row["bbox"]) + rng.normal(0, 0.02, 4) * max(row["bbox"][2:])
            found.append((row["image_id"], box, round(rng.random(), 1)))
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    dataset = datasets.open("coco", tmp_path, "labels.json")
    parts = []
    for sample in dataset:
        mine = sorted((f for f in found if f[0] == sample.id), key=lambda f: -f[2])
        boxes = np.array([b for _, b, _ in mine]).reshape(-1, 4)
        boxes = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1) - 0.5
        parts.append(Estimates.detected(Detections(boxes, [s for *_, s in mine]), np.zeros(len(mine), np.int64)))

    class Ignoring(cocoeval.COCOeval):
        def _prepare(self):
            super()._prepare()
            for rows in self._gts.values():
                for row in rows:
                    row["ignore"] = row["ignore"] or labels["annotations"][order[row["id"]]]["ignore"]

    order = {row["id"]: i for i, row in enumerate(labels["annotations"])}
    answers = concatenate(parts)
    rows = as_results(answers, dataset)
    boxes = protocol.of(dataset, cards.get("yolox-nano"))
    ours = numbers(score(dataset, answers, dataset.skeleton, 0, boxes))
    expected = by_pycocotools(copy.deepcopy(labels), rows, Ignoring)
    assert ours == pytest.approx(expected, abs=1e-6)  # boxes went through float32
    build = dataset._build
    dataset._build = lambda entry: replace(sample := build(entry), crowd=sample.ignore)
    as_crowds = numbers(score(dataset, answers, dataset.skeleton, 0, boxes))
    assert as_crowds["AP"] > expected["AP"] + 0.01


def test_detectors_are_asked_for_kinds_that_the_set_has(testdata):
    animals = datasets.open("ap10k", testdata / "animal/ap10k", "test_ap10k.json")
    kinds = [animals.categories[i] for i in protocol.of(animals, cards.get("yolox-nano")).kinds]
    assert set(kinds) == set(animals.categories) & set(cards.get("yolox-nano").classes)
    with pytest.raises(ConfigError, match="finds face"):
        protocol.of(animals, cards.get("mediapipe-face-detection-short-range"))
    hands = datasets.open("freihand", testdata / "hand/freihand", "test_freihand.json")
    boxes = protocol.of(hands, cards.get("mediapipe-palm-detection-full"))
    assert boxes.kinds in ((), (0,))


def test_a_set_without_boxes_judges_no_detector(testdata):
    studio = datasets.open("panoptic", testdata / "multiview/panoptic_160906_band1")
    with pytest.raises(ConfigError, match="just contain its keypoints"):
        judges.get("boxes").check(protocol.of(studio, cards.get("yolox-nano")), "panoptic", studio[0])


def followed(dataset, ids) -> Estimates:
    """Labels as answers, with ids of ``ids(sample)``."""
    parts = []
    for sample in dataset:
        rows = judged(sample)
        keypoints = sample.keypoints[rows]
        parts.append(Estimates.of(Poses(dataset.skeleton, keypoints, np.isfinite(keypoints).all(axis=2),
                                        ids=ids(sample)[rows])))  # fmt: skip
    return concatenate(parts)


@pytest.fixture
def video(testdata, tmp_path):
    """Two people of a real picture who move, as PoseTrack labels them: one video in turn with another, and regions."""
    source = json.loads((testdata / MINI / "person_keypoints.json").read_text())
    both = [row for row in source["annotations"] if row["num_keypoints"] >= 10 and row["area"] > 15000]
    image = next(i for i in (r["image_id"] for r in both) if sum(r["image_id"] == i for r in both) >= 2)
    people = [row for row in both if row["image_id"] == image][:2]
    picture = cv2.imread(str(testdata / MINI / next(i["file_name"] for i in source["images"] if i["id"] == image)))
    coco = datasets.get("coco").skeleton
    images, annotations = [], []
    names = catalogue.get(datasets.get("posetrack18").skeleton).keypoints
    index = [catalogue.get(coco).index.get(name, -1) for name in names]
    for number in range(8):
        name, shift = f"{number}.png", 6 * number
        cv2.imwrite(str(tmp_path / name), np.roll(picture, shift, axis=1))
        images.append({"id": 100 - number, "file_name": name, "vid_id": "walk", "frame_id": number, "is_labeled": True,
                       "width": picture.shape[1], "height": picture.shape[0],
                       "ignore_regions_x": [[0, 20, 20, 0]], "ignore_regions_y": [[0, 0, 20, 20]]})
        for track, row in enumerate(people):
            points = np.array(row["keypoints"], float).reshape(-1, 3)
            points[points[:, 2] > 0, 0] += shift
            given = np.array([points[i] if i >= 0 else (0, 0, 0) for i in index])
            box = [row["bbox"][0] + shift, *row["bbox"][1:]]
            annotations.append({"id": len(annotations), "image_id": 100 - number, "category_id": 1, "track_id": track,
                                "bbox": box, "keypoints": given.ravel().tolist(), "iscrowd": 0})
    images = [images[i] for i in (3, 7, 0, 5, 1, 6, 2, 4)]
    labels = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "video.json").write_text(json.dumps(labels))
    return datasets.open("posetrack18", tmp_path, "video.json")


def test_ids_are_judged_in_the_order_of_moments(video):
    tracks = protocol.of(video, None, "tracks")
    right = numbers(score(video, followed(video, lambda s: s.tracks + 1), video.skeleton, 0, tracks))
    assert right == {"MOTA": 1, "IDF1": 1, "HOTA": 1, "DetA": 1, "AssA": 1, "switches": 0}
    scores = score(video, followed(video, lambda s: (s.tracks + (s.moment >= 6)) % 2 + 1), video.skeleton, 0, tracks)
    wrong = numbers(scores)
    assert wrong["switches"] == 2  # both, once
    assert wrong["MOTA"] == 1 - 2 / 16
    assert wrong["IDF1"] == 6 / 8
    assert wrong["DetA"] == 1
    assert wrong["HOTA"] < 0.9
    assert (scores.parts, scores.parts_of) == (("walk",), "videos")


def test_who_is_where_nobody_is_labelled_is_no_mistake(video):
    tracks, answers = protocol.of(video, None, "tracks"), []
    for place in (10.0, 60.0):
        parts = []
        for sample in video:
            keypoints = np.concatenate([sample.keypoints, np.full((1, 17, 2), place)])
            poses = Poses(video.skeleton, keypoints, np.isfinite(keypoints).all(axis=2), ids=np.array([1, 2, 3]))
            parts.append(Estimates.of(poses))
        answers.append(numbers(score(video, concatenate(parts), video.skeleton, 0, tracks))["MOTA"])
    assert answers == [1, 1 - 8 / 16]


@pytest.mark.usefixtures("models")
def test_a_pipeline_follows_people_of_a_video(video):
    job = Job("posetrack18", video.folder, "yolox-nano+simplepose-ultralight", "video.json", judged_by="tracks")
    assert job.config(Store()) == {"model": job.model, "threads": 1, "exact": True}
    assert [job.dataset()[i].moment for i in job.shards()[0][0]] == list(range(8))
    scores = score(job.dataset(), estimate(job), job.skeleton(), 0, job.protocol())
    found = numbers(scores)
    assert found["switches"] == 0
    assert found["IDF1"] > 0.6
    assert scores.found >= 12


def test_labels_that_say_no_tracks_are_refused(testdata, capsys):
    data = f"coco/person_keypoints.json:{testdata / MINI}"
    assert main(["eval", "--data", data, "--model", "movenet-multipose", "--protocol", "tracks"]) == USAGE
    assert "who is who in which video" in capsys.readouterr().err
    assert main(["eval", "--data", data, "--model", "movenet-multipose", "--protocol", "view"]) == USAGE
    assert "precision, tracks, views" in capsys.readouterr().err
    assert main(["eval", "--data", data, "--model", "yolox-nano", "--protocol", "tracks"]) == USAGE
    assert "expected one of boxes" in capsys.readouterr().err
    assert main(["eval", "--data", data, "--model", "yolox-nano", "--boxes", "truth"]) == USAGE
    assert "leave --boxes away" in capsys.readouterr().err
    assert main(["eval", "--data", data, "--model", "yolox-nano", "--views", "cam1"]) == USAGE
    assert "which has one" in capsys.readouterr().err


@pytest.fixture(scope="module")
def studio(testdata):
    """Real people in the studio, by five of its cameras."""
    whole = datasets.open("panoptic", testdata / "multiview/panoptic_160906_band1")
    return whole.select([i for i in range(31 * 4) if whole[i].view in CAMERAS])


def projected(dataset, noise=0.0):
    """Return what a perfect estimator sees in a sample."""
    rng = np.random.default_rng(0)

    def look(sample):
        rows = np.flatnonzero(np.isfinite(sample.keypoints).all(axis=2).any(axis=1))
        keypoints = sample.keypoints[rows] + rng.normal(0, noise, (len(rows), *sample.keypoints.shape[1:]))
        return Poses(dataset.skeleton, keypoints, np.isfinite(keypoints).all(axis=2)), None

    return look


def test_several_cameras_find_everybody_where_they_are(studio):
    moments = range(0, len(studio), len(CAMERAS))
    views = protocol.of(studio, None, "views")
    for noise, most in ((0.0, 0.01), (2.0, 8.0)):
        answers = concatenate([fused(projected(studio, noise), studio[i : i + len(CAMERAS)]) for i in moments])
        scores = score(studio, answers, studio.skeleton, 10, views)
        found = numbers(scores)
        assert found["MPJPE@500"] < most
        assert found["recall@500"] == found["AP@25"] == 1
        assert scores.found == len(scores.subjects) == 3 * len(moments)
        assert scores.measures[0].low <= found["MPJPE@500"] <= scores.measures[0].high


def test_nobody_seen_by_several_cameras_is_the_worst(studio):
    nobody = concatenate([fused(lambda s: (Poses.empty(studio.skeleton), None), studio[:5])] * 4)
    found = numbers(score(studio, nobody, studio.skeleton, 0, protocol.of(studio, None, "views")))
    assert np.isnan(found.pop("MPJPE@500"))
    assert set(found.values()) == {0}


def test_some_samples_of_a_set_travel_between_processes(studio):
    some = studio.select([7, 2])
    copied = pickle.loads(pickle.dumps(some))
    assert [s.id for s in copied] == [s.id for s in some] == [studio[7].id, studio[2].id]


def test_a_set_of_several_cameras_is_asked_by_moments(testdata):
    job = Job("panoptic", testdata / "multiview/panoptic_160906_band1", "movenet-multipose", judged_by="views",
              views=CAMERAS, limit=12)
    groups = [group for shard in job.shards() for group in shard]
    assert groups == [tuple(range(0, 5)), tuple(range(5, 10)), (10, 11)]


@pytest.fixture
def shelf(studio, tmp_path):
    """The people of the studio as the actors of Shelf: frames 300 to 303 of actorsGT.mat, and the cameras."""
    skeleton, names = datasets.get("shelf").skeleton, {"head_bottom": "neck", "head_top": "nose"}
    index = [studio.skeleton.index[names.get(name, name)] for name in catalogue.get(skeleton).keypoints]
    cameras, people = {}, np.full((3, 304, 14, 3), np.nan)
    for sample in studio:
        k, t = sample.camera.K, sample.T_camera_rig
        bent = sample.camera.D
        cameras[sample.view] = {
            "fx": k[0, 0], "fy": k[1, 1], "cx": k[0, 2], "cy": k[1, 2], "k": [[bent[0]], [bent[1]], [bent[4]]],
            "p": [[bent[2]], [bent[3]]], "R": t[:3, :3].tolist(),
            "T": (-1e3 * t[:3, :3].T @ t[:3, 3]).reshape(3, 1).tolist()}
        rig = (sample.points[:, index] - t[:3, 3]) @ t[:3, :3]
        people[:, 300 + sample.moment - studio[0].moment] = rig
    (tmp_path / "calibration_shelf.json").write_text(json.dumps(cameras))
    actors = np.empty((1, 3), object)
    for person in range(3):
        actors[0, person] = np.empty((304, 1), object)
        for frame in range(304):
            there = np.isfinite(people[person, frame]).any()
            actors[0, person][frame, 0] = people[person, frame] if there else np.zeros((1, 0))
    savemat(tmp_path / "actorsGT.mat", {"actor3D": np.array([[actors]], object)[0]})
    return datasets.open("shelf", tmp_path)


def test_actors_are_judged_by_their_limbs(shelf, rng):
    count = len(CAMERAS)
    moments = [shelf[i : i + count] for i in range(0, len(shelf), count)]
    assert protocol.of(shelf).kind == "views"
    perfect = concatenate([fused(projected(shelf), samples) for samples in moments])
    scores = score(shelf, perfect, shelf.skeleton, 10)
    assert numbers(scores) == {"PCP": 1, "actor 1": 1, "actor 2": 1, "actor 3": 1, "recall@500": 1,
                               "MPJPE@500": pytest.approx(0, abs=0.01)}
    assert (len(scores.parts), scores.parts_of) == (10, "limbs")
    wrong = replace(perfect, points=perfect.points + rng.normal(0, 0.12, perfect.points.shape))
    scores = score(shelf, wrong, shelf.skeleton, 0)
    expected = _pcp_by_loops(moments, wrong)
    assert 0.2 < expected.min() < expected.max() < 0.95
    found = numbers(scores)
    assert [found[f"actor {i}"] for i in (1, 2, 3)] == pytest.approx(expected.tolist(), abs=1e-9)
    assert found["PCP"] == pytest.approx(expected.mean(), abs=1e-9)


def _pcp_by_loops(moments, answers):
    """The protocol in the plainest words: half of the limb's length, both ends on average, of who is nearest."""
    limbs = [(0, 1), (1, 2), (3, 4), (4, 5), (6, 7), (7, 8), (9, 10), (10, 11), (12, 13), (14, 12)]
    right, total, start = np.zeros(3), np.zeros(3), 0
    for samples in moments:
        count = int(answers.counts[start : start + 1][0])
        first = int(answers.counts[:start].sum())
        said, start = answers.points[first : first + count], start + len(samples)
        for truth, actor in zip(samples[0].points, samples[0].ids, strict=True):
            away = [np.nanmean(np.linalg.norm(one - truth, axis=1)) for one in said]
            one = said[int(np.argmin(away))]
            a, b = (np.concatenate([p, p[2:4].mean(axis=0)[None]]) for p in (one, truth))
            for i, j in limbs:
                if not np.isfinite(b[[i, j]]).all():
                    continue
                error = (np.linalg.norm(a[i] - b[i]) + np.linalg.norm(a[j] - b[j])) / 2
                right[actor] += error <= 0.5 * np.linalg.norm(b[i] - b[j])
                total[actor] += 1
    return right / total


def test_average_precision_of_people_is_that_of_plain_loops(rng):
    for _ in range(20):
        moment, label_moment = np.sort(rng.integers(0, 5, 12)), np.sort(rng.integers(0, 5, 9))
        truth = rng.normal(0, 1, (9, 1, 3)) + rng.normal(0, 0.3, (9, 14, 3))
        found = truth[rng.integers(0, 9, 12)] + rng.normal(0, 0.05, (12, 14, 3))
        scores = np.round(rng.random(12), 1)
        people = people3d.nearest(found, moment, truth, label_moment, scores)
        for limit in (0.08, 0.3, 3.0):
            assert people.precision(limit, np.ones(5)) == pytest.approx(
                _precision_by_loops(found, moment, truth, label_moment, scores, limit), abs=1e-9)


def _precision_by_loops(found, moment, truth, label_moment, scores, limit):
    taken, curve, right = set(), [], 0
    for said, row in enumerate(sorted(range(len(found)), key=lambda i: -scores[i]), 1):
        labels = np.flatnonzero(label_moment == moment[row])
        away = [np.linalg.norm(found[row] - truth[i], axis=1).mean() for i in labels]
        if len(labels) and min(away) < limit and labels[int(np.argmin(away))] not in taken:
            taken.add(labels[int(np.argmin(away))])
            right += 1
            curve.append((said, right))
    steps = [right / said for said, right in curve]
    best = [max(steps[i:]) for i in range(len(steps))]
    return sum(best) / len(truth)


def test_moments_that_are_drawn_twice_count_twice(rng):
    truth, moment = rng.normal(0, 1, (6, 14, 3)), np.arange(6) // 2
    found = truth + np.where(moment == 0, 0.0, 1.0)[:, None, None]
    people = people3d.nearest(found, moment, truth, moment, np.ones(6))
    assert people.precision(0.1, np.ones(3)) == pytest.approx(people.precision(0.1, np.full(3, 2.0)))
    assert people.precision(0.1, np.array([1.0, 0, 0])) == 1
    assert np.isnan(people.precision(0.1, np.zeros(3)))


@pytest.mark.usefixtures("models")
def test_pictures_of_several_cameras_become_people(testdata, tmp_path, capsys):
    """Two real moments of five cameras. Labels are what one network makes of them; another one agrees."""
    take = tmp_path / "take"
    (take / "hdPose3d_stage1_coco19").mkdir(parents=True)
    source = testdata / "multiview/panoptic_160422_hd5"
    (take / "hdImgs").symlink_to(source)
    rows = json.loads((source / "camera_parameters.json").read_text())["cameras"]
    (take / "calibration_take.json").write_text(json.dumps({"cameras": rows}))
    for number in (4500, 5514):
        name = take / f"hdPose3d_stage1_coco19/body3DScene_{number:08d}.json"
        name.write_text(json.dumps({"bodies": []}))
    job = Job("panoptic", tmp_path, "blazepose-full", judged_by="views", views=CAMERAS)
    answers = estimate(job)
    made, counts = answers.poses(job.skeleton()).to(job.dataset().skeleton), answers.counts[:: len(CAMERAS)]
    assert counts.tolist() == [1, 2]
    for moment, points in enumerate(np.split(made.local_points.astype(float), np.cumsum(counts)[:-1])):
        first = job.dataset()[moment * len(CAMERAS)]
        rig = 100 * (points - first.T_camera_rig[:3, 3]) @ first.T_camera_rig[:3, :3]
        bodies = [{"id": i, "joints19": np.column_stack([np.nan_to_num(b), np.where(np.isfinite(b).all(axis=1), 1, -1)])
                   .ravel().tolist()} for i, b in enumerate(rig)]  # fmt: skip
        name = take / f"hdPose3d_stage1_coco19/body3DScene_{first.moment:08d}.json"
        name.write_text(json.dumps({"bodies": bodies}))
    code = main(["eval", "--data", f"panoptic:{tmp_path}", "--model", "yolox-nano+simplepose-ultralight", "--protocol",
                 "views", "--views", *CAMERAS, "--resamples", "0", "--json", "--output", str(tmp_path / "out"),
                 "--worst", "2"])  # fmt: skip
    result = json.loads(capsys.readouterr().out)["results"][0]
    assert code == OK
    assert result["measures"]["recall@500"]["value"] == 1
    assert result["measures"]["MPJPE@500"]["value"] < 60
    assert len(list((tmp_path / "out/worst").rglob("*.jpg"))) == 2
