# SPDX-License-Identifier: Apache-2.0
"""Made-up files in the layouts that authors publish: name of the layout -> a function that writes one into a folder.

Each returns the split to open and what the first sample has to be: keypoints (N, K, 2) counted from 0, and their
visibility (N, K).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import cdflib
import cv2
import h5py
import numpy as np
from scipy.io import savemat

RNG = np.random.default_rng(3)
Expected = tuple[str, np.ndarray, np.ndarray]


def points(k: int, n: int = 1) -> np.ndarray:
    """Return (n, k, 2) pixels with one digit behind the point, as files have them."""
    return np.round(RNG.uniform(20, 200, (n, k, 2)), 1)


def all_visible(keypoints: np.ndarray) -> np.ndarray:
    return np.full(keypoints.shape[:2], 2)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, data: object) -> None:
    write(path, json.dumps(data))


def save_mat(path: Path, data: dict[str, object]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, data)


def aic(folder: Path) -> Expected:
    xy = points(14, 2)
    flags = RNG.integers(1, 4, (2, 14))
    people = {f"human{i + 1}": np.concatenate([xy[i], flags[i][:, None]], axis=1).ravel().tolist() for i in range(2)}
    boxes = {f"human{i + 1}": [1, 2, 201, 202] for i in range(2)}
    write_json(folder / "ai_challenger_keypoint_validation_20170911/keypoint_validation_annotations_20170911.json",
               [{"image_id": "ab12", "human_annotations": boxes, "keypoint_annotations": people}])
    return "val", xy, np.array([0, 2, 1, 0])[flags]


def mpii_json(folder: Path) -> Expected:
    xy = points(16)
    seen = RNG.integers(0, 2, 16)
    write_json(folder / "annotations/mpii_val.json",
               [{"image": "1.jpg", "joints": (xy[0] + 1).tolist(), "joints_vis": seen.tolist(), "center": [101, 111],
                 "scale": 2.0}])
    save_mat(folder / "annotations/mpii_gt_val.mat", {"headboxes_src": np.array([[[10.0], [20]], [[40], [60]]])})
    return "val", xy, 2 * seen[None]


def mpii_mat(folder: Path) -> Expected:
    xy = points(16)
    joints = np.array([{"x": x + 1, "y": y + 1, "id": i, "is_visible": str(i % 2) if i < 8 else np.zeros(0)}
                       for i, (x, y) in enumerate(xy[0])])
    person = {"x1": 10.0, "y1": 20.0, "x2": 40.0, "y2": 60.0, "scale": 2.0, "objpos": {"x": 101.0, "y": 111.0},
              "annopoints": {"point": joints}}
    image = {"image": {"name": "1.jpg"}, "annorect": np.array([person])}
    tested = {"image": {"name": "2.jpg"}, "annorect": np.array([{"x1": 1.0}])}
    save_mat(folder / "mpii_human_pose_v1_u12_2/mpii_human_pose_v1_u12_1.mat",
             {"RELEASE": {"annolist": np.array([image, tested])}})
    return "all", xy, np.where(np.arange(16)[None] < 8, 1 + np.arange(16)[None] % 2, 2)


def mhp(folder: Path) -> Expected:
    table = np.concatenate([points(20, 2), RNG.integers(0, 3, (2, 20, 1))], axis=2)
    save_mat(folder / "val/pose_annos/10059.mat", {"person_1": table[1], "person_0": table[0]})
    return "val", table[:, :16, :2], 2 - table[:, :16, 2].astype(int)


def jhmdb(folder: Path) -> Expected:
    xy = points(15, 3)
    save_mat(folder / "joint_positions/catch/clip_1/joint_positions.mat", {"pos_img": xy.transpose(2, 1, 0) + 1})
    return "all", xy[:1], all_visible(xy[:1])


def h36m_cdf(folder: Path) -> Expected:
    metres = RNG.uniform(-1, 1, (1, 4, 96)) * 1e3
    pixels = RNG.uniform(0, 1000, (1, 4, 64))
    for kind, numbers in (("D2_Positions", pixels), ("D3_Positions_mono", metres)):
        path = folder / f"S9/MyPoseFeatures/{kind}/Walking 1.54138969.cdf"
        path.parent.mkdir(parents=True)
        file = cdflib.cdfwrite.CDF(path, {"Encoding": 6})
        file.write_var({"Variable": "Pose", "Data_Type": 45, "Num_Elements": 1, "Rec_Vary": True, "Compress": 0,
                        "Dim_Sizes": list(numbers.shape[1:])}, {}, numbers)
        file.close()
    chosen = [0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27]
    xy = pixels[0, :1].reshape(1, 32, 2)[:, chosen]
    return "S9", xy, all_visible(xy)


def mpi_train(folder: Path) -> Expected:
    pixels, metres = RNG.uniform(0, 2000, (2, 56)), RNG.uniform(1000, 3000, (2, 84))
    cells = {}
    for name, numbers in (("annot2", pixels), ("annot3", metres)):
        cells[name] = np.empty((14, 1), object)
        for i in range(14):
            cells[name][i, 0] = numbers
    save_mat(folder / "train/S1/Seq2/annot.mat", cells)
    rows = "".join(f"name {i}\n  sensor 10 10\n  size 2048 2048\n  animated 0\n"
                   "  intrinsic 1500 0 1024 0 0 1500 1024 0 0 0 1 0 0 0 0 1\n"
                   "  extrinsic 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1\n  radial 0\n" for i in range(14))
    write(folder / "train/S1/Seq2/camera.calibration", "Skeletool Camera Calibration File V1.0\n" + rows)
    chosen = [7, 5, 14, 15, 16, 9, 10, 11, 23, 24, 25, 18, 19, 20, 4, 3, 6]
    xy = pixels[:1].reshape(1, 28, 2)[:, chosen]
    return "train_videos", xy, all_visible(xy)


def mpi_test(folder: Path) -> Expected:
    path = folder / "test/TS1/annot_data.mat"
    path.parent.mkdir(parents=True)
    xy = points(17, 3)
    with h5py.File(path, "w") as file:
        file["annot2"], file["annot3"] = xy[:, None], RNG.uniform(0, 3000, (3, 1, 17, 3))
        file["valid_frame"] = np.array([[0.0], [1], [1]])
    return "test_frames", xy[1:2], all_visible(xy[:1])


def shelf(folder: Path) -> Expected:
    k = {"fx": 1000.0, "fy": 1000.0, "cx": 500.0, "cy": 400.0, "k": [[0.0]] * 3, "p": [[0.0]] * 2,
         "R": np.eye(3).tolist(), "T": [[0.0], [0.0], [-4000.0]]}
    write_json(folder / "calibration_shelf.json", {"0": k, "1": k})
    metres = RNG.uniform(-0.5, 0.5, (14, 3))
    actors = np.empty((1, 2), object)
    for person in range(2):
        actor = np.empty((302, 1), object)
        for frame in range(302):
            actor[frame, 0] = np.zeros((1, 0)) if person else metres
        actors[0, person] = actor
    save_mat(folder / "actorsGT.mat", {"actor3D": np.array([[actors]], object)[0]})
    xy = 1000 * metres[None, :, :2] / (metres[None, :, 2:] + 4) + [500, 400]
    return "test", xy, all_visible(xy)


def pts(path: Path, xy: np.ndarray) -> None:
    rows = "\n".join(f"{x:.3f} {y:.3f}" for x, y in xy + 1)
    write(path, f"version: 1\nn_points:  {len(xy)}\n{{\n{rows}\n}}\n")


def w300(folder: Path) -> Expected:
    xy = points(68)
    pts(folder / "ibug/image_003_1.pts", xy[0])
    return "challenge", xy, all_visible(xy)


def w300vw(folder: Path) -> Expected:
    xy = points(68)
    pts(folder / "001/annot/000001.pts", xy[0])
    return "all", xy, all_visible(xy)


def w300lp(folder: Path) -> Expected:
    xy = points(68)
    save_mat(folder / "landmarks/AFW/AFW_1_0_pts.mat", {"pts_2d": xy[0], "pts_3d": xy[0]})
    return "AFW", xy, all_visible(xy)


def wflw(folder: Path) -> Expected:
    xy = points(98)
    numbers = [*xy.ravel().tolist(), 20, 20, 200, 200, 0, 1, 0, 0, 1, 0]
    write(folder / "WFLW_annotations/list_98pt_rect_attr_train_test/list_98pt_rect_attr_test.txt",
          " ".join(map(str, numbers)) + " 36--Football/a b.jpg\n")
    return "test", xy, all_visible(xy)


def cofw(folder: Path) -> Expected:
    xy, hidden = points(29, 2), RNG.integers(0, 2, (2, 29))
    picture = RNG.integers(0, 255, (240, 220, 3), np.uint8)
    with h5py.File(folder / "COFW_test_color.mat", "w") as file:
        file["phisT"] = np.concatenate([xy.transpose(0, 2, 1).reshape(2, 58) + 1, hidden], axis=1).T
        file["bboxesT"] = np.array([[21.0, 31, 100, 110]] * 2).T
        file["#refs#/a"], file["#refs#/b"] = picture.transpose(2, 1, 0), picture[..., 0].T
        file["IsT"] = np.array([[file["#refs#/a"].ref, file["#refs#/b"].ref]], h5py.ref_dtype)
    return "test", xy[:1], np.where(hidden, 1, 2)[:1]


def aflw(folder: Path) -> Expected:
    faces, hidden = points(19, 5), np.ones((5, 19))
    hidden[:, 4] = 0
    boxes = np.tile([10.0, 60, 30, 120], (5, 1))
    order = np.arange(5, 0, -1)
    data = faces.transpose(0, 2, 1).reshape(5, 38)
    names = np.array([f"0/{i}.jpg" for i in range(5)], object)
    save_mat(folder / "AFLWinfo_release.mat", {"ra": order, "data": data, "mask_new": hidden, "bbox": boxes,
                                               "nameList": names})
    # The order is backwards, and the tests say that the first two are for training.
    return "test_full", faces[2:3], np.where(hidden[2:3] == 0, 1, 2)


def lapa(folder: Path) -> Expected:
    xy = points(106)
    write(folder / "test/landmarks/1.txt", "106\n" + "\n".join(f"{x} {y}" for x, y in xy[0]))
    return "test", xy, all_visible(xy)


def freihand(folder: Path) -> Expected:
    metres, matrix = RNG.uniform(-0.1, 0.1, (2, 21, 3)) + np.array([0, 0, 0.7]), np.diag([480.0, 480, 1])
    matrix[:2, 2] = 112
    write_json(folder / "evaluation_xyz.json", metres.tolist())
    write_json(folder / "evaluation_K.json", [matrix.tolist()] * 2)
    xy = metres[:1] @ matrix.T
    return "evaluation", xy[..., :2] / xy[..., 2:], all_visible(xy)


_FINGERS = [20, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16]


def assemblyhands(folder: Path) -> Expected:
    world = RNG.uniform(-100, 100, (42, 3)) + np.array([0, 0, 900])
    valid = np.ones(42, int)
    valid[21:] = 0  # the left hand is not labelled
    matrix = [[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]
    name, base = "HMC_1_mono10bit", folder / "annotations/val/assemblyhands_val"
    write_json(base.with_name(base.name + "_ego_data_v1-1.json"), {
        "images": [{"id": 5, "file_name": "ego/1.jpg", "seq_name": "take", "camera": "HMC_1", "frame_idx": 7,
                    "width": 640, "height": 480}],
        "annotations": [{"id": 1, "image_id": 5, "joint_valid": valid.tolist(),
                         "bbox": {"right": [1, 2, 3, 4], "left": None}}],
    })
    outside = np.concatenate([np.eye(3), [[10.0], [0], [0]]], axis=1).tolist()
    write_json(base.with_name(base.name + "_ego_calib_v1-1.json"), {
        "calibration": {"take": {"intrinsics": {name: matrix}, "extrinsics": {"000007": {name: outside}}}}})
    write_json(base.with_name(base.name + "_joint_3d_v1-1.json"),
               {"annotations": {"take": {"000007": {"world_coord": world.tolist(), "joint_valid": valid.tolist()}}}})
    right = (world[_FINGERS] + [10, 0, 0]) @ np.array(matrix).T
    return "val", (right[:, :2] / right[:, 2:])[None], np.full((1, 21), 2)


def panoptic_hand(folder: Path) -> Expected:
    xy, seen = points(21), RNG.integers(0, 2, 21)
    write_json(folder / "hand_labels/manual_test/1_l.json",
               {"hand_pts": np.concatenate([xy[0], seen[:, None]], axis=1).tolist(), "is_left": 1})
    return "manual_test", xy, 2 * seen[None]


def animalpose(folder: Path) -> Expected:
    xy, seen = points(20), RNG.integers(0, 2, 20)
    write_json(folder / "keypoints.json", {
        "images": {"1": "2007.jpg"}, "categories": [{"id": 5, "name": "cow"}, {"id": 1, "name": "dog"}],
        "annotations": [{"image_id": 1, "bbox": [1, 2, 201, 202], "category_id": 5,
                         "keypoints": np.concatenate([xy[0], seen[:, None]], axis=1).tolist()}]})
    return "all", xy, 2 * seen[None]


def macaque(folder: Path) -> Expected:
    xy = points(17)
    names = [{"name": str(i), "position": p} for i, p in enumerate(xy[0].tolist())]
    names[3]["position"] = None
    with (folder / "annotations.csv").open("w", newline="") as file:
        outline = [[{"name": "x", "segment": [[10, 20], [110, 20], [110, 70], [10, 70]]}]]
        csv.writer(file).writerows([["image file name", "keypoints", "segmentation"],
                                    ["1.jpg", json.dumps([names]), json.dumps(outline)]])
    seen = all_visible(xy)
    seen[0, 3] = 0
    return "all", xy, seen


def deepposekit(folder: Path) -> Expected:
    xy, seen = points(9, 3), RNG.integers(0, 2, (3, 9)).astype(bool)
    with h5py.File(folder / "annotation_data_release.h5", "w") as file:
        file["annotations"], file["annotated"] = xy, seen
        file["images"] = RNG.integers(0, 255, (3, 160, 160, 1), np.uint8)
    return "all", xy[:1], 2 * seen[:1]


def deeplabcut(folder: Path) -> Expected:
    xy = points(3, 2)
    heads = [["scorer", "", "", *["me"] * 12], ["individuals", "", "", *["a"] * 6, *["b"] * 6],
             ["bodyparts", "", "", *["nose", "nose", "ear", "ear", "tail", "tail"] * 2],
             ["coords", "", "", *["x", "y"] * 6]]
    row = ["labeled-data", "clip", "img007.png", *map(str, xy.ravel().tolist())]
    row[5:7] = "", ""
    path = folder / "labeled-data/clip/CollectedData_me.csv"
    path.parent.mkdir(parents=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([*heads, row])
    write(folder / "config.yaml", "Task: test\nskeleton:\n- [nose, ear]\n- [ear, tail]\n")
    seen = all_visible(xy)
    seen[0, 1] = 0
    return "all", xy, seen


def sleap_package(folder: Path) -> Expected:
    """An old project (its first pixel is at 0.5) with its pictures inside, whose nodes are not in their order."""
    xy = points(3)
    eye = {"py/reduce": [{"py/type": "EdgeType"}, {"py/tuple": [2]}]}
    body = {"py/reduce": [{"py/type": "EdgeType"}, {"py/tuple": [1]}]}
    said = {"nodes": [{"name": "tail"}, {"name": "right_eye"}, {"name": "left_eye"}],
            "skeletons": [{"nodes": [{"id": 2}, {"id": 1}, {"id": 0}],
                           "links": [{"source": 2, "target": 1, "type": eye}, {"source": 1, "target": 0, "type": body},
                                     {"source": 2, "target": 0, "type": {"py/id": 2}}]}]}
    frames = np.array([(0, 0, 40, 0, 2)], [("frame_id", "u8"), ("video", "u4"), ("frame_idx", "u8"),
                                           ("instance_id_start", "u8"), ("instance_id_end", "u8")])
    instances = np.array(
        [(0, 0, 0, -1, 1, 0, 3), (1, 1, 0, -1, -1, 0, 3)],
        [("instance_id", "i8"), ("instance_type", "u1"), ("skeleton", "u4"), ("track", "i4"), ("from_predicted", "i8"),
         ("point_id_start", "u8"), ("point_id_end", "u8")])
    kinds = [("x", "f8"), ("y", "f8"), ("visible", "?"), ("complete", "?")]
    labels = np.array([(x + 0.5, y + 0.5, i != 1, True) for i, (x, y) in enumerate(xy[0])], kinds)
    picture = np.frombuffer(cv2.imencode(".png", np.full((200, 200, 3), 90, np.uint8))[1].tobytes(), np.int8)
    with h5py.File(folder / "labels.pkg.slp", "w") as file:
        file["frames"], file["instances"], file["points"], file["pred_points"] = frames, instances, labels, labels[:3]
        file["videos_json"] = [json.dumps({"backend": {"filename": ".", "dataset": "video0/video"}}).encode()]
        file.create_group("metadata").attrs.update({"json": json.dumps(said), "format_id": 1.0})
        file["video0/frame_numbers"] = [40]
        file["video0"].create_dataset("video", (1,), h5py.vlen_dtype(np.int8))[0] = picture
    return "user", xy, np.array([[2, 1, 2]])


#: Name of the set -> what writes its published layout; several where it has several.
PUBLISHED: dict[str, list[Callable[[Path], Expected]]] = {
    "aic": [aic], "mpii": [mpii_json, mpii_mat], "mhp": [mhp], "jhmdb": [jhmdb], "h36m": [h36m_cdf],
    "mpi-inf-3dhp": [mpi_train, mpi_test], "shelf": [shelf], "300w": [w300], "300vw": [w300vw], "300w-lp": [w300lp],
    "wflw": [wflw], "cofw": [cofw], "aflw": [aflw], "lapa": [lapa], "freihand": [freihand],
    "assemblyhands": [assemblyhands], "panoptic-hand": [panoptic_hand], "animalpose": [animalpose],
    "macaque": [macaque], "zebra": [deepposekit], "deeplabcut": [deeplabcut],
    "sleap": [sleap_package],
}
