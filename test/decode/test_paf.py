# SPDX-License-Identifier: Apache-2.0
"""Part affinity fields: planted people, and what the originals find in the same maps (openpose_groups.npz)."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_ros.decode import paf, peaks

DATA = Path(__file__).parents[1] / "data/networks"
sys.path.append(str(DATA))
import paf_scenes  # noqa: E402

SCENES = ("nobody", "one", "five", "thirty", "border", "hidden")
ATTACH = {"body25": {(2, 17), (5, 18)}, "coco18": {(2, 16), (5, 17)}, "mpi15": set()}
LIMITS = {"mpi15": paf.Limits(peak=0.6, field=0.01)}
LIGHTWEIGHT = paf.Limits(peak=0.1, fraction=0.8, score=0.2)
#: The one that was recorded.
OFFSET = 0.3


@pytest.fixture(scope="module")
def recorded():
    with np.load(DATA / "openpose_groups.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def scenes():
    return {kind: paf_scenes.scenes(kind) for kind in paf_scenes.KINDS}


def graph(kind: str) -> paf.Graph:
    feet = frozenset(range(19, 25)) if kind == "body25" else frozenset()
    return paf.Graph(*paf_scenes.KINDS[kind][1:], frozenset(ATTACH[kind]), feet)


def openpose(kind: str, heatmaps: np.ndarray, fields: np.ndarray, offset: float = 0.0):
    rule = peaks.RULES["openpose"]
    return paf.decode(heatmaps[:-1], fields, 8, graph(kind), rule, LIMITS.get(kind, paf.Limits()), offset)


def lightweight(heatmaps: np.ndarray, fields: np.ndarray):
    return paf.decode(heatmaps[:-1], fields, 4, graph("coco18"), peaks.RULES["lightweight"], LIGHTWEIGHT)


def same(found, people: np.ndarray, scores: np.ndarray, atol: float) -> None:
    """Compare with what was recorded: (N, K, 3) of x, y, score, 0 where missing; best first."""
    points, values, subjects = found
    assert points.shape == (*people.shape[:2], 2)
    np.testing.assert_array_equal(np.isfinite(points), people[..., 2:].repeat(2, axis=2) > 0)
    np.testing.assert_allclose(np.nan_to_num(points), people[..., :2], atol=atol)
    np.testing.assert_allclose(values, people[..., 2], atol=1e-5)
    np.testing.assert_allclose(subjects, scores, atol=1e-3)


@pytest.mark.parametrize("scene", [*SCENES, "noise"])
@pytest.mark.parametrize("kind", paf_scenes.KINDS)
def test_finds_what_openpose_finds(recorded, scenes, kind, scene):
    maps = paf_scenes.noise(kind) if scene == "noise" else scenes[kind][scene][1:]
    found = openpose(kind, *maps, OFFSET)
    same(found, *(recorded[f"openpose/{kind}/{scene}/{name}"] for name in ("people", "scores")), atol=0.01)
    assert scene != "noise" or len(found[0]) > (1 if kind == "mpi15" else 30)


@pytest.mark.parametrize("scene", [*SCENES[1:], "noise"])
def test_finds_what_lightweight_openpose_finds(recorded, scenes, scene):
    maps = paf_scenes.noise("coco18") if scene == "noise" else scenes["coco18"][scene][1:]
    points, values, subjects = lightweight(*maps)
    people, sums = (recorded[f"lightweight/coco18/{scene}/{name}"] for name in ("people", "scores"))
    same((points, values, subjects), people, sums / (18 + 19), atol=1e-4)
    assert scene != "noise" or len(points) > 30


@pytest.mark.parametrize("scene", SCENES[1:4])
def test_agrees_with_the_port_of_openpose(recorded, scenes, scene):
    """It smooths maps of the size of the image, here twice the input, and takes whole pixels."""
    points, _, _ = openpose("coco18", *scenes["coco18"][scene][1:])
    people = recorded[f"port/coco18/{scene}/people"]
    assert len(points) == len(people)
    theirs = np.where(people[..., 2:] > 0, (people[..., :2] + 0.5) / 2 - 0.5, np.nan)
    nearest = [np.nanmean(np.abs(theirs - p), axis=(1, 2)).argmin() for p in points]
    assert sorted(nearest) == list(range(len(points)))
    np.testing.assert_allclose(points, theirs[nearest], atol=1.0)


@pytest.mark.parametrize("scene", ["one", "five", "thirty"])
@pytest.mark.parametrize("kind", paf_scenes.KINDS)
def test_finds_planted_people(scenes, kind, scene):
    planted = scenes[kind][scene].people
    points, scores, subjects = openpose(kind, *scenes[kind][scene][1:])
    assert len(points) == len(planted)
    order = [np.nanmean(np.abs(points - person), axis=(1, 2)).argmin() for person in planted]
    assert sorted(order) == list(range(len(planted)))
    errors = np.abs(points[order] - planted)
    # Where thirty stand in an input of 656x368, a head of MPI's may be at its neighbour's foot.
    assert (errors < 1).mean() > (0.99 if (kind, scene) == ("mpi15", "thirty") else 0.9999)
    assert errors.max() < 6
    assert ((scores > 0.6) & (scores <= 1)).all()
    assert ((subjects > 0.5) & (subjects <= 1)).all()
    assert (np.diff(subjects) <= 0).all()


def test_people_at_the_border_and_half_hidden_keep_what_is_seen(scenes):
    for scene in ("border", "hidden"):
        planted = scenes["coco18"][scene].people
        points, scores, _ = openpose("coco18", *scenes["coco18"][scene][1:])
        for person in points:
            seen = np.isfinite(person[:, 0])
            errors = np.abs(planted[:, seen] - person[seen]).max(axis=2)
            # All that was found is of one person; at the very border half of a blob is missing.
            assert np.nanmin(errors.max(axis=1)) < (5 if scene == "border" else 1)
        assert (scores[np.isnan(points[..., 0])] == 0).all()


def test_enlarges_parts_to_what_the_whole_would_be():
    """Peaks at the border, in a corner, in a flat map and beside negative values, for all enlargements."""
    rng = np.random.default_rng(5)
    maps = rng.normal(0, 0.2, (12, 13, 17)).astype(np.float32)
    maps[0], maps[1] = 0, -1
    maps[2] = 0
    maps[2, 6, 8] = 0.4
    maps[3] = 0
    maps[3, [0, 12], [0, 16]] = 0.5
    rule = peaks.RULES["openpose"]
    for by in (1, 2, 3, 4, 8):
        found = peaks.find_peaks(maps, by, 0.05, rule)
        for part, small in enumerate(maps):
            fine = cv2.resize(small, None, fx=by, fy=by, interpolation=cv2.INTER_CUBIC)
            padded = np.pad(fine, 1, constant_values=0.05)
            around = np.stack([padded[1 + dy : 1 + dy + fine.shape[0], 1 + dx : 1 + dx + fine.shape[1]]
                               for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dx or dy])  # fmt: skip
            y, x = np.nonzero((fine > 0.05) & (fine > around).all(axis=0))
            inside = (x > 1) & (y > 1) & (x < fine.shape[1] - 2) & (y < fine.shape[0] - 2)
            points = found.points[found.parts == part]
            values = found.scores[found.parts == part]
            for px, py in zip(x[inside], y[inside], strict=True):
                row = np.abs(values - fine[py, px]).argmin()
                assert values[row] == pytest.approx(fine[py, px], abs=1e-6)
                assert np.abs(points[row] - (px, py)).max() <= 3


def test_reads_fields_as_the_enlarged_ones():
    rng = np.random.default_rng(6)
    field = rng.normal(0, 1, (9, 11, 2)).astype(np.float32)
    for by in (1, 2, 4, 8):
        fine = cv2.resize(field, None, fx=by, fy=by, interpolation=cv2.INTER_CUBIC)
        y, x = np.mgrid[: fine.shape[0], : fine.shape[1]].astype(np.float64)
        sheet = paf._sheet(np.stack([1 - field, field]).transpose(0, 3, 1, 2))
        read = paf._enlarged(sheet, np.ones(1, int), x + 0.3, y - 0.3, (fine.shape[1], fine.shape[0]))
        np.testing.assert_allclose(np.stack(read, -1), fine, atol=1e-5)


@pytest.mark.parametrize("rule", peaks.RULES)
def test_looking_at_a_few_points_first_changes_nothing(monkeypatch, rule):
    """Most of the field points to the right here, with holes."""
    rng = np.random.default_rng(9)
    field = np.stack([rng.choice([1.0, 1.0, 1.0, 1.0, -1.0], (46, 82)), np.zeros((46, 82))], -1).astype(np.float32)
    field = cv2.GaussianBlur(field, (0, 0), 0.6)
    first, second = rng.uniform(0, [200, 367], (400, 2)).T, rng.uniform([150, 0], [655, 367], (400, 2)).T
    limits = paf.Limits(fraction=0.95 if rule == "openpose" else 0.8)
    how = (np.zeros(400, int), field.transpose(2, 0, 1)[None], (656, 368), peaks.RULES[rule], limits)
    found = paf._limb_scores(first, second, *how)
    monkeypatch.setattr(paf, "_PROBES", ())
    np.testing.assert_array_equal(found, paf._limb_scores(first, second, *how))
    assert 20 < (found > 0).sum() < 380


def test_the_first_of_two_people_who_share_a_keypoint_goes_on():
    limbs = paf.Graph(((0, 1), (2, 1), (1, 3)), ((0, 1),) * 3)
    places = np.array([[10.0, 10], [110, 10], [20, 12], [210, 10]])
    fields = np.zeros((2, 20, 40), np.float32)
    fields[0] = 1
    points, _, _ = paf.group(peaks.Peaks(np.arange(4), places, np.ones(4)), fields, (320, 160), 4, limbs,
                             peaks.RULES["lightweight"], paf.Limits())  # fmt: skip
    assert np.isfinite(points[..., 0]).tolist() == [[True, True, False, True]]


def test_legs_alone_are_a_person_only_where_there_is_no_other():
    """One leg is often taken for both of somebody; but where nobody else is seen, it is better than nothing."""
    rng = np.random.default_rng(4)
    people = paf_scenes.bodies("body25", np.array([[150.0, 180], [450, 180]]), np.array([100.0, 100]), rng)
    people[1, [i for i in range(25) if i not in (10, 11, 22, 23, 24)]] = np.nan
    both, alone = (openpose("body25", *paf_scenes.draw("body25", p, (656, 368))[1:])[0] for p in (people, people[1:]))
    assert np.isfinite(both[..., 0]).sum(axis=1).tolist() == [25]
    assert np.isfinite(alone[..., 0]).sum(axis=1).tolist() == [5]


def test_keypoints_that_nearly_coincide_belong_together_in_openpose_alone():
    """A field cannot be seen between them; feet and eyes of people far away are so."""
    limbs = paf.Graph(((0, 1), (1, 2)), ((0, 1), (2, 3)))
    found = peaks.Peaks(np.arange(3), np.array([[50.0, 50], [80, 50], [81, 50]]), np.ones(3))
    fields = np.zeros((4, 20, 30), np.float32)
    fields[0] = 1
    for rule, expected in (("openpose", 3), ("lightweight", 0)):
        points, _, _ = paf.group(found, fields, (240, 160), 3, limbs, peaks.RULES[rule], paf.Limits(score=0))
        assert np.isfinite(points[..., 0]).sum() == expected


def test_of_peaks_close_together_lightweight_openpose_takes_the_left_one():
    x, y = np.arange(30), np.arange(20)[:, None]
    blobs = ((10.1, 0.5), (12.6, 0.9), (20.1, 0.7))
    heatmap = sum(value * np.exp(-2 * ((x - px) ** 2 + (y - 10.1) ** 2)) for px, value in blobs)
    found = peaks.find_peaks(heatmap[None].astype(np.float32), 2, 0.1, peaks.RULES["lightweight"])
    np.testing.assert_allclose(found.points[:, 0] / 2, [10.1, 20.1], atol=0.5)
    assert len(peaks.find_peaks(heatmap[None].astype(np.float32), 2, 0.1, peaks.RULES["openpose"]).points) == 3


def test_takes_the_best_where_there_are_too_many_peaks():
    rng = np.random.default_rng(8)
    heatmap = np.zeros((1, 60, 60), np.float32)
    heatmap[0, 2:58:3, 2:58:3] = rng.uniform(0.2, 1, (19, 19))
    found = peaks.find_peaks(heatmap, 1, 0.05, peaks.RULES["openpose"])
    assert len(found.scores) == 127
    assert found.scores.min() >= np.sort(heatmap.ravel())[-127]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
def test_broken_maps_give_no_broken_people(value):
    maps = np.full((19, 8, 10), value, np.float32)
    fields = np.full((38, 8, 10), value, np.float32)
    for points, scores, subjects in (openpose("coco18", maps, fields), lightweight(maps, fields)):
        seen = np.isfinite(points).all(axis=2)
        assert (seen | np.isnan(points).all(axis=2)).all()
        assert np.isfinite(scores).all()
        assert np.isfinite(subjects).all()


@pytest.mark.parametrize("rule", peaks.RULES)
def test_one_broken_pixel_is_no_peak(rule):
    heatmap = np.zeros((1, 12, 12), np.float32)
    heatmap[0, 6, 6] = np.inf
    for by in (1, 4):
        with np.errstate(invalid="ignore"):
            found = peaks.find_peaks(heatmap, by, 0.1, peaks.RULES[rule])
        assert np.isfinite(found.points).all()
        assert np.isfinite(found.scores).all()


def test_leaves_its_input_alone(scenes):
    heatmaps, fields = scenes["coco18"]["five"][1:]
    before = heatmaps.copy(), fields.copy()
    heatmaps.flags.writeable = fields.flags.writeable = False
    openpose("coco18", heatmaps, fields)
    np.testing.assert_array_equal(heatmaps, before[0])
    np.testing.assert_array_equal(fields, before[1])


def test_a_peak_that_only_interpolation_makes_is_found():
    """Corners of the 16 pixels count twice negative: 1.43 times the largest value, where 1.41 would not do."""
    heatmap = np.zeros((1, 12, 12), np.float32)
    heatmap[0, 5:7, 5:7] = 1
    heatmap[0, 4:8:3, 4] = heatmap[0, 4:8:3, 7] = 1
    heatmap[0, 5, 5] += 1e-4  # else the middle is a plateau
    fine = cv2.resize(heatmap[0], None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    assert fine.max() > 1.43 * heatmap.max()
    assert len(peaks.find_peaks(heatmap, 8, 1.42, peaks.RULES["openpose"]).points) == 1
