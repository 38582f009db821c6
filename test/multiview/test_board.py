# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import cv2
import numpy as np
import pytest
from boards import BOARD, picture, places

from pose_ros.core.camera import Camera
from pose_ros.errors import ConfigError
from pose_ros.media.sources import open_source
from pose_ros.multiview import report, world
from pose_ros.multiview.board import Board, find_intrinsics, find_rig
from pose_ros.multiview.bundle import Sightings, meet
from pose_ros.multiview.files import read_rig
from pose_ros.multiview.rig import PosedCamera, Rig
from pose_ros.multiview.subjects import Rigid

SIZE = (640, 480)
K = np.array([[520.0, 0, 331], [0, 524, 236], [0, 0, 1]])
LENSES = {
    "plumb_bob": Camera(K, SIZE, np.array([-0.25, 0.08, 0.001, -0.0015, 0.0]), "plumb_bob"),
    "equidistant": Camera(K * [[0.6], [0.6], [1]] + [[0, 0, 130], [0, 0, 95], [0, 0, 0]], SIZE,
                          np.array([0.03, -0.02, 0.01, -0.003]), "equidistant"),
}  # fmt: skip
CALISCOPE = Board(4, 5, 0.054, 0.0405, "DICT_4X4_1000", inverted=True)


def corners(camera: Camera, poses, noise_px: float, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    seen = np.stack([camera.project(BOARD.points @ turn.T + shift) for turn, shift in poses])
    seen += rng.normal(0, noise_px, seen.shape)
    seen[~((seen > 0) & (seen < np.array(camera.size_wh) - 1)).all(axis=-1)] = np.nan
    return seen


@pytest.mark.parametrize("model", LENSES)
def test_pictures_of_a_board_give_the_lens_they_were_made_with(model):
    camera = LENSES[model]
    distance = 0.45 if model == "plumb_bob" else 0.3
    poses = places(18, distance, spread=0.3)
    seen = np.stack([BOARD.find(picture(camera, *pose)) for pose in poses])
    true = corners(camera, poses, 0)
    off = np.linalg.norm(seen - true, axis=-1)
    assert np.isfinite(off).sum() > 300
    assert np.nanmedian(off) < 0.1
    found = find_intrinsics(BOARD, seen, SIZE, model)
    np.testing.assert_allclose(found.camera.K[[0, 1], [0, 1]], camera.K[[0, 1], [0, 1]], rtol=0.003)
    np.testing.assert_allclose(found.camera.K[:2, 2], camera.K[:2, 2], atol=1.5)
    rays = camera.rays(true[np.isfinite(true[..., 0])])
    # A shift of the whole image is as good as a small turn of the camera, so the middle is known least.
    assert np.median(np.linalg.norm(found.camera.project(rays) - camera.project(rays), axis=1)) < 0.7


def test_inverted_and_real_boards(testdata):
    assert (Board(4, 5, 0.05, 0.04, inverted=True).draw(40) == 255 - Board(4, 5, 0.05, 0.04).draw(40)).all()
    with open_source(str(testdata / "multiview/caliscope_charuco/cam_1.mp4")) as source:
        seen = np.stack([CALISCOPE.find(frame.image) for frame in source])
    found = find_intrinsics(CALISCOPE, seen, (1280, 720))
    assert found.seen.sum() > 40
    theirs = read_rig(testdata / "multiview/caliscope_charuco/config.toml").cameras[1].camera
    assert abs(found.camera.K[0, 0] - theirs.K[0, 0]) < 2 * found.deviations[0]
    # The board stays in the middle: that tells no more of a lens.
    assert found.plain
    np.testing.assert_array_equal(found.camera.K[:2, 2], [639.5, 359.5])
    said = report.of_intrinsics("cam_1", found, seen)
    assert said.cameras[0].rms_px < 0.5
    assert any("the board was never in the" in warning for warning in said.warnings)
    # The corners are those that Caliscope found in the same video, up to its own refinement.
    rows = np.genfromtxt(testdata / "multiview/caliscope_charuco/xy_CHARUCO.csv", delimiter=",", names=True)
    rows = rows[rows["cam_id"] == 1]
    theirs_xy = np.column_stack([rows["img_loc_x"], rows["img_loc_y"]])
    nearest = np.linalg.norm(seen[np.isfinite(seen[..., 0])][:, None] - theirs_xy, axis=2).min(axis=1)
    assert np.median(nearest) < 0.5


def test_views_that_do_not_fit_are_left_out():
    camera = LENSES["plumb_bob"]
    seen = corners(camera, places(30, 0.5), 0.1)
    seen[4] += np.random.default_rng(3).normal(0, 8, seen[4].shape)
    found = find_intrinsics(BOARD, seen, SIZE)
    assert not found.used[4]
    assert found.used.sum() >= 28
    assert abs(found.camera.K[0, 0] / 520 - 1) < 0.003


def test_warnings_say_what_to_do():
    camera = LENSES["plumb_bob"]
    flat = [(np.eye(3), np.array([-0.1 + 0.005 * i, -0.15, 0.9])) for i in range(10)]
    seen = corners(camera, flat, 0.2)
    found = find_intrinsics(BOARD, seen, SIZE)
    said = " ".join(report.of_intrinsics("door", found, seen).warnings)
    assert "door: the board was seen well in 10 of 10 images; show it in 15 or more" in said
    assert "never in the top left corner" in said
    assert "never tilted by more than" in said
    good = corners(camera, places(40, 0.4, spread=0.35), 0.2)
    assert report.of_intrinsics("door", find_intrinsics(BOARD, good, SIZE), good).warnings == []


def cameras_around() -> Rig:
    lens = LENSES["plumb_bob"]
    posed = [PosedCamera("a", lens, np.eye(3), np.zeros(3))]
    wide = LENSES["equidistant"]
    others = [("b", lens, (0, 0.6, 0.1), (0.7, 0.1, 0.2)), ("c", wide, (0.3, -0.7, 0), (-0.8, 0.3, 0.3))]
    for name, other, vector, centre in others:
        turn = cv2.Rodrigues(np.array(vector, np.float64))[0]
        posed.append(PosedCamera(name, other, turn, -turn @ np.array(centre)))
    return Rig(posed)


def seen_by(rig: Rig, n: int, noise_px: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    poses = places(n, 1.1, seed)
    points = np.stack([BOARD.points @ turn.T + shift for turn, shift in poses])
    seen = rig.project(points) + np.random.default_rng(seed).normal(0, noise_px, (len(rig), *points.shape[:2], 2))
    size = np.array(SIZE) - 1
    seen[~((seen > 0) & (seen < size)).all(axis=-1)] = np.nan
    return seen, points


def test_cameras_around_a_board_and_how_sure_that_is():
    true = cameras_around()
    lenses = {c.name: c.camera for c in true}
    errors = []
    for seed in range(6):
        seen, points = seen_by(true, 30, 0.3, seed)
        found = find_rig(BOARD, lenses, seen)
        for v in (1, 2):
            turn = found.rotations[v] @ true.cameras[v].rotation.T
            shift = found.translations[v] - turn @ true.cameras[v].translation
            off = np.concatenate([cv2.Rodrigues(turn)[0].ravel(), shift])
            errors.append(off @ np.linalg.solve(found.covariances[v], off))
            assert np.linalg.norm(-found.rotations[v].T @ found.translations[v] - true.cameras[v].centre) < 0.002
        assert np.abs(found.scene.points() - points).max() < 0.005
    # Chi-squared of 6 degrees of freedom, which the few stretches make wider; the mean of 6 x 2 of them.
    assert 3 < np.mean(errors) < 18
    said = report.of_rig(Rig(found.posed(list(lenses), list(lenses.values()))), found, seen)
    assert said.warnings == []
    assert all(0.2 < camera.rms_px < 0.5 for camera in said.cameras)
    assert said.cameras[0].position_mm == 0
    assert all(0.05 < camera.position_mm < 2 for camera in said.cameras[1:])
    np.testing.assert_allclose(said.cameras[1].baseline_m, np.linalg.norm([0.7, 0.1, 0.2]), atol=0.002)


def test_bad_corners_and_a_camera_out_of_step_are_seen():
    true = cameras_around()
    lenses = {c.name: c.camera for c in true}
    seen, _ = seen_by(true, 40, 0.3, 5)
    rng = np.random.default_rng(0)
    wrong = rng.random(seen.shape[:3]) < 0.05
    seen[wrong] += rng.uniform(-80, 80, (wrong.sum(), 2))
    found = find_rig(BOARD, lenses, seen)
    for posed, camera in zip(found.posed(list(lenses), list(lenses.values())), true, strict=True):
        assert np.linalg.norm(posed.centre - camera.centre) < 0.003
    assert np.median(found.trust[wrong & np.isfinite(seen[..., 0])]) < 0.05
    late = seen.copy()
    late[2] = np.roll(late[2], 1, axis=0)
    lost = find_rig(BOARD, lenses, late)
    said = report.of_rig(Rig(lost.posed(list(lenses), list(lenses.values()))), lost, late)
    assert any("in step" in warning for warning in said.warnings)


def test_a_camera_that_never_saw_the_board_with_others_is_named():
    true = cameras_around()
    lenses = {c.name: c.camera for c in true}
    seen, _ = seen_by(true, 20, 0.3, 5)
    seen[2, :10], seen[:2, 10:] = np.nan, np.nan
    with pytest.raises(ConfigError, match=r"cameras: c: never saw the board at the same time .* \(reached: a, b\)"):
        find_rig(BOARD, lenses, seen)
    with pytest.raises(ConfigError, match="at least 8 images, found it in 0 of 20"):
        find_intrinsics(BOARD, np.full_like(seen[0], np.nan), SIZE)
    few, _ = seen_by(true, 5, 0.3, 5)
    found = find_rig(BOARD, lenses, few)
    said = report.of_rig(Rig(found.posed(list(lenses), list(lenses.values()))), found, few)
    assert any(w.startswith("b: saw the board in 5 of 5 images") for w in said.warnings)


def test_world_on_the_board_has_z_up():
    true = cameras_around()
    turn, shift = places(1, 1.1)[0]
    moved = world.on_board(true, turn, shift)
    for before, after in zip(true, moved, strict=True):
        assert after.centre[2] > 0
        points = BOARD.points * [1, -1, -1]
        np.testing.assert_allclose(after.project(points), before.project(BOARD.points @ turn.T + shift))


@pytest.mark.parametrize("own", [False, True])
def test_caliscope_session(testdata, own):
    """From its corners alone, or with its lenses: its extrinsics and its points."""
    folder = testdata / "multiview/caliscope_charuco"
    theirs = read_rig(folder / "config.toml")
    lenses = {c.name: c.camera for c in theirs}
    xy = np.genfromtxt(folder / "xy_CHARUCO.csv", delimiter=",", names=True)
    xyz = np.genfromtxt(folder / "xyz_CHARUCO.csv", delimiter=",", names=True)
    moments = np.unique(xy["sync_index"])
    seen = np.full((4, len(moments), 12, 2), np.nan)
    at = np.searchsorted(moments, xy["sync_index"])
    where = xy["cam_id"].astype(int), at, xy["keypoint_id"].astype(int)
    seen[where] = np.column_stack([xy["img_loc_x"], xy["img_loc_y"]])
    expected = np.full((len(moments), 12, 3), np.nan)
    at = np.searchsorted(moments, xyz["sync_index"])
    expected[at, xyz["keypoint_id"].astype(int)] = np.column_stack([xyz[f"{axis}_coord"] for axis in "xyz"])

    if own:
        lenses = {c.name: find_intrinsics(CALISCOPE, s, c.camera.size_wh).camera
                  for c, s in zip(theirs, seen, strict=True)}  # fmt: skip
    found = find_rig(CALISCOPE, lenses, seen)
    assert isinstance(found.scene, Rigid)
    points = meet(found.rotations, found.translations, Sightings.of(list(lenses.values()), seen))
    known = np.isfinite(points + expected).all(axis=-1)
    a, b = points[known], expected[known]
    u, s, vt = np.linalg.svd((b - b.mean(axis=0)).T @ (a - a.mean(axis=0)))
    turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
    scale = s.sum() / ((a - a.mean(axis=0)) ** 2).sum()
    off = np.linalg.norm(scale * (a - a.mean(axis=0)) @ turn.T + b.mean(axis=0) - b, axis=1)
    assert len(off) == 660
    assert np.median(off) < (0.002 if own else 0.001)
    # Its points make the squares of its board 0.4 % larger than it says they are; ours are as large as it says.
    assert abs(scale - 1) < 0.006
    first = theirs.cameras[0]
    # With other lenses, cameras stand elsewhere to see the same.
    for v, camera in enumerate([] if own else theirs):
        apart = np.linalg.norm(-found.rotations[v].T @ found.translations[v])
        assert abs(apart - np.linalg.norm(camera.centre - first.centre)) < 0.007
        relative = camera.rotation @ first.rotation.T
        assert np.degrees(np.linalg.norm(cv2.Rodrigues(found.rotations[v] @ relative.T)[0])) < 0.7


def test_words_for_a_board():
    board = Board.parse("5x7:0.04:0.03:DICT_5X5_100:inverted:legacy")
    assert (board.columns, board.rows, board.square, board.inverted, board.legacy) == (5, 7, 0.04, True, True)
    assert Board.parse("5x7:0.04:0.03").dictionary == "DICT_4X4_50"
    for text, message in [
        ("5:0.04:0.03", "expected COLUMNSxROWS:SQUARE:MARKER"),
        ("5x7:0.04", "expected COLUMNSxROWS"),
        ("5x7:0.04:wide", "expected COLUMNSxROWS"),
        ("5x7:0.04:0.03:DICT_4X4_50:upside", "expected COLUMNSxROWS"),
        ("5x7:0.03:0.04", "larger than their markers"),
        ("5x7:0.04:0.03:DICT_9", "expected one of DICT_4X4_100"),
    ]:
        with pytest.raises(ConfigError, match=message):
            Board.parse(text)
    with pytest.raises(ConfigError, match="expected one of plumb_bob"):
        find_intrinsics(board, np.zeros((0, 24, 2)), SIZE, "pinhole")
