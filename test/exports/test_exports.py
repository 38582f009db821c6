# SPDX-License-Identifier: Apache-2.0
"""Files of motion capture hold what was seen: read again by other programs' rules, or by other programs."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scenes import at, crossing, walker

from pose_ros.core.poses import Poses, TrackState
from pose_ros.errors import ConfigError
from pose_ros.exports import bvh, opensim, table
from pose_ros.exports.take import TO_Y_UP, TO_Z_UP, Take, collect
from pose_ros.skeletons import catalogue

H36M = catalogue.get("h36m17")
RATE = 50.0


def recording(people, count: int = 60, skeleton: str = "h36m17") -> list[tuple[int, Poses]]:
    """Return what a perfect eye says of people who walk, in a world with z up."""
    truth = at(people, np.arange(count) / RATE)
    points = truth.points(skeleton)
    kind = catalogue.get(skeleton)
    n = points.shape[1]
    return [
        (round(i / RATE * 1e9), Poses(kind, np.full((n, len(kind), 2), np.nan), np.isfinite(p[..., 0]), points=p,
                                      ids=truth.ids, states=np.full(n, TrackState.TRACKED)))
        for i, p in enumerate(points)
    ]


def take_of(people, **how) -> Take:
    return collect(recording(people, **how))


def test_a_take_keeps_everybody_apart_and_knows_its_rate() -> None:
    moments = recording(crossing(3))
    del moments[10:12], moments[30]  # dropped images
    take = collect(moments)
    assert take.rate == RATE
    assert take.space == "camera"
    truth = at(crossing(3), take.seconds).points("h36m17")
    assert len(take.subjects) == 3
    for row, subject in enumerate(take.subjects):
        np.testing.assert_allclose(subject.points, truth[:, row], atol=1e-6)


def test_even_moments_fill_what_was_dropped_and_leave_long_gaps() -> None:
    moments = recording(walker(), count=100)
    truth = np.array([p.points[0] for _, p in moments])
    del moments[60:90], moments[20:22]
    even = collect(moments).even()
    points = even.subjects[0].points
    assert len(points) == 100
    assert np.abs(points[20:22] - truth[20:22]).max() < 0.01
    assert np.isnan(points[60:90]).all()
    np.testing.assert_allclose(points[90:], truth[90:], atol=1e-6)


def test_predicted_subjects_count_only_on_request() -> None:
    moments = recording(walker(), count=10)
    moments[5:] = [(s, p.replace(states=np.full(1, TrackState.PREDICTED))) for s, p in moments[5:]]
    assert np.isnan(collect(moments).subjects[0].points[5:]).all()
    assert np.isfinite(collect(moments, predicted=True).subjects[0].points[5:, 0]).all()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda m: m[::-1], "ascending stamps"),
        (lambda m: [(s, p.replace(ids=np.zeros(1))) for s, p in m], "switch the tracker on"),
        (lambda m: [(s, Poses.empty(H36M)) for s, _ in m], "at least one subject"),
        (lambda m: [*m[:5], *((s, p.to(catalogue.get("coco17"))) for s, p in m[5:])], "one kind of skeleton"),
    ],
)
def test_what_is_no_take_says_why(spoil, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        collect(spoil(recording(walker(), count=10)))


def test_motion_capture_needs_metres(tmp_path: Path) -> None:
    pixels = collect([(s, p.replace(points=None)) for s, p in recording(walker(), count=5)])
    for write in (opensim.write_trc, bvh.write_bvh):
        with pytest.raises(ConfigError, match="expected metres, got pixels alone"):
            write(pixels, tmp_path / "x")


def test_csv_holds_what_was_seen(tmp_path: Path) -> None:
    take = take_of(crossing(2), count=5)
    table.write_csv(take, tmp_path / "walk.csv")
    with (tmp_path / "walk.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 5 * 2 * 17
    assert list(lines[0]) == list(table.COLUMNS)
    line = next(x for x in lines if x["keypoint"] == "left_knee" and x["id"] == "2" and x["stamp_ns"] == "40000000")
    expected = take.subjects[1].points[2, H36M.index["left_knee"]]
    np.testing.assert_allclose([float(line[f"{axis}_m"]) for axis in "xyz"], expected, atol=1e-5)
    assert line["x_px"] == ""


def test_parquet_holds_the_same(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    take = take_of(walker(), count=5)
    table.write_parquet(take, tmp_path / "walk.parquet")
    read = parquet.read_table(tmp_path / "walk.parquet").to_pydict()
    assert list(read) == list(table.COLUMNS)
    for name, column in table.columns(take).items():
        values = [None if value != value else value for value in column.tolist()]
        assert read[name] == values


def test_trc_reads_back_with_y_up(tmp_path: Path) -> None:
    take = take_of(crossing(2), count=7)
    take.subjects[0].points[3, 5] = np.nan
    paths = opensim.write_trc(take, tmp_path / "walk.trc")
    assert [p.name for p in paths] == ["walk_subject_1.trc", "walk_subject_2.trc"]
    lines = paths[0].read_text().splitlines()
    assert lines[2].split("\t")[:5] == ["50.00", "50.00", "7", "17", "m"]
    assert [name for name in lines[3].split("\t")[2:] if name] == list(H36M.keypoints)
    # OpenSim drops what is behind the last tab where that is nothing.
    assert all(line.endswith("\t") for line in lines[6:])
    cells = [line[:-1].split("\t") for line in lines[6:]]
    assert {len(row) for row in cells} == {2 + 3 * 17}
    read = np.array([[float(c or "nan") for c in row[2:]] for row in cells]).reshape(7, 17, 3)
    # Short gaps are filled, and this one lasts for one moment.
    points, seen = take.subjects[0].points @ TO_Y_UP.T, np.arange(7) != 3
    np.testing.assert_allclose(read[seen], points[seen], atol=1e-6)
    assert np.isfinite(read[3, 5]).all()
    assert read[:, H36M.index["left_foot"], 1].max() < read[:, H36M.index["thorax"], 1].min()


def test_mot_holds_degrees(tmp_path: Path) -> None:
    moments = recording(walker(), skeleton="coco17", count=9)
    skeleton = moments[0][1].skeleton
    column = skeleton.measures.index("left_knee_flexion")
    values = np.full((9, len(skeleton.measures)), np.nan)
    values[:, column] = np.linspace(0, 1, 9)
    take = collect((s, p.replace(measures=v[None])) for (s, p), v in zip(moments, values, strict=True))
    (path,) = opensim.write_mot(take, tmp_path / "walk.mot")
    lines = path.read_text().splitlines()
    assert lines[:6] == ["joint angles", "version=1", "nRows=9", "nColumns=2", "inDegrees=yes", "endheader"]
    assert lines[6] == "time\tleft_knee_flexion"
    np.testing.assert_allclose([float(x.split("\t")[1]) for x in lines[7:]], np.degrees(values[:, column]), atol=1e-4)
    # OpenSim's reader ends at a nan: what is not known stays as it was, and what never is, is left out.
    values[:2], values[4:6], values[8:] = np.nan, np.nan, np.nan
    take = collect((s, p.replace(measures=v[None])) for (s, p), v in zip(moments, values, strict=True))
    gap = dataclasses.replace(take, stamps_ns=take.stamps_ns * 20)  # of 0.4 s and more, which is not filled
    lines = opensim.write_mot(gap, tmp_path / "gap.mot")[0].read_text().splitlines()
    read = np.array([[float(x) for x in line.split("\t")] for line in lines[7:]])
    np.testing.assert_allclose(read[:, 0], 0.4 * np.arange(2, 8))
    np.testing.assert_allclose(read[:, 1], np.degrees(values[[2, 3, 3, 3, 6, 7], column]), atol=1e-4)
    with pytest.raises(ConfigError, match="mot holds joint angles"):
        opensim.write_mot(take_of(walker(), count=3, skeleton="coco17"), tmp_path / "no.mot")


def test_c3d_reads_back(tmp_path: Path) -> None:
    ezc3d = pytest.importorskip("ezc3d")
    from pose_ros.exports.c3d import write_c3d

    take = take_of(crossing(2), count=40)
    take.subjects[1].points[10:30, 4] = np.nan
    write_c3d(take, tmp_path / "walk.c3d")
    read = ezc3d.c3d(str(tmp_path / "walk.c3d"))
    point = read["parameters"]["POINT"]
    assert point["RATE"]["value"][0] == RATE
    assert point["UNITS"]["value"] == ["mm"]
    assert point["LABELS"]["value"][17] == f"subject_2:{H36M.keypoints[0]}"
    points = read["data"]["points"][:3].transpose(2, 1, 0).reshape(40, 2, 17, 3)
    for row, subject in enumerate(take.subjects):
        np.testing.assert_allclose(points[:, row], 1e3 * subject.points, atol=0.01)
    assert (read["data"]["meta_points"]["residuals"][0, 17 + 4, 10:30] == -1).all()


def posed(path: Path) -> tuple[list[str], np.ndarray, float]:
    """Read a BVH file as its format says: names of joints and ends, where they are (T, J, 3) in metres, seconds."""
    tokens = iter(path.read_text().split())
    names, parents, offsets, channels, stack = [], [], [], [], []
    for token in tokens:
        if token in ("ROOT", "JOINT", "End"):
            name = next(tokens)
            names.append(name if token != "End" else f"{names[stack[-1]]} end")
            parents.append(stack[-1] if stack else -1)
            channels.append([])
        elif token == "{":
            stack.append(len(names) - 1)
        elif token == "}":
            stack.pop()
        elif token == "OFFSET":
            offsets.append([float(next(tokens)) for _ in range(3)])
        elif token == "CHANNELS":
            channels[-1] = [next(tokens) for _ in range(int(next(tokens)))]
        elif token == "MOTION":
            break
    assert [next(tokens) for _ in range(1)] == ["Frames:"]
    count = int(next(tokens))
    assert [next(tokens), next(tokens)] == ["Frame", "Time:"]
    step = float(next(tokens))
    rows = np.array([float(x) for x in tokens]).reshape(count, -1)
    places, turns = np.zeros((count, len(names), 3)), np.tile(np.eye(3), (count, len(names), 1, 1))
    column = 0
    for joint, parent in enumerate(parents):
        move, turn = np.tile(offsets[joint], (count, 1)), np.tile(np.eye(3), (count, 1, 1))
        for channel in channels[joint]:
            value, axis = rows[:, column], "XYZ".index(channel[0])
            column += 1
            if channel.endswith("position"):
                move[:, axis] += value
            else:
                a, b = (axis + 1) % 3, (axis + 2) % 3
                one = np.tile(np.eye(3), (count, 1, 1))
                cos, sin = np.cos(np.radians(value)), np.sin(np.radians(value))
                one[:, a, a], one[:, b, b], one[:, a, b], one[:, b, a] = cos, cos, -sin, sin
                turn = turn @ one
        if parent >= 0:
            move = places[:, parent] + np.einsum("tij,tj->ti", turns[:, parent], move)
            turn = turns[:, parent] @ turn
        places[:, joint], turns[:, joint] = move, turn
    assert column == rows.shape[1]
    return names, places / 100, step


@pytest.mark.parametrize("skeleton", ["h36m17", "coco17"])
def test_bvh_puts_joints_where_they_were(tmp_path: Path, skeleton: str) -> None:
    take = take_of(walker(), count=50, skeleton=skeleton)
    (path,) = bvh.write_bvh(take, tmp_path / "walk.bvh")
    names, places, step = posed(path)
    assert step == pytest.approx(1 / RATE)
    truth = at(walker(), take.seconds).points("h36m17")[:, 0] @ TO_Y_UP.T
    for name in ("left_hip", "right_knee", "left_shoulder", "right_elbow"):
        off = np.linalg.norm(places[:, names.index(name)] - truth[:, H36M.index[name]], axis=1)
        # Limbs of the body are as long all the time, but for those that are no limbs, from the spine to a shoulder.
        assert off.max() < 0.03, name


def test_optical_frames_turn_upright() -> None:
    down, forward, right = np.eye(3)[[1, 2, 0]]
    turn = TO_Z_UP["-y"]
    np.testing.assert_allclose(turn @ -down, [0, 0, 1])
    np.testing.assert_allclose(turn @ forward, [0, 1, 0])
    np.testing.assert_allclose(turn @ right, [1, 0, 0])
    assert all(np.linalg.det(rotation) == pytest.approx(1) for rotation in (*TO_Z_UP.values(), TO_Y_UP))
