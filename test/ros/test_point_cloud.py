# SPDX-License-Identifier: Apache-2.0
"""Point clouds: any layout of bytes, and the depth image that a camera would have of them."""

from __future__ import annotations

import array
from types import SimpleNamespace

import numpy as np
import pytest
from scenes import at, line, posed
from scenes.depth import render
from scenes.people import Person

from pose_ros.core.camera import Camera
from pose_ros.errors import ImageError
from pose_ros.rgbd.measure import measured
from pose_ros.ros.point_cloud import cloud_points, cloud_to_depth

CAMERA = Camera(np.array([[525.0, 0, 319.5], [0, 525, 239.5], [0, 0, 1]]), (640, 480))


def cloud(
    points: np.ndarray, big_endian: bool = False, offsets: tuple[int, int, int] = (0, 4, 8), step: int = 12,
    padding: int = 0, kind: str = "f4", **other: object,
) -> object:  # fmt: skip
    """Return what has the fields of sensor_msgs/PointCloud2 from points (H, W, 3)."""
    height, width = points.shape[:2]
    record = np.dtype({"names": list("xyz"), "formats": [(">" if big_endian else "<") + kind] * 3,
                       "offsets": offsets, "itemsize": step})  # fmt: skip
    rows = np.full((height, width * step + padding), 0xCD, np.uint8)
    for row, values in zip(rows, points, strict=True):
        place = row[: width * step].view(record)
        for i, name in enumerate("xyz"):
            place[name] = values[:, i]
    fields = [SimpleNamespace(name=n, offset=o, datatype={"f4": 7, "f8": 8}[kind], count=1)
              for n, o in zip("xyz", offsets, strict=True)]  # fmt: skip
    columns = {"width": width, "height": height, "fields": fields, "is_bigendian": big_endian, "point_step": step,
               "row_step": rows.shape[1], "data": array.array("B", rows.tobytes()), "is_dense": False}  # fmt: skip
    return SimpleNamespace(**{**columns, **other})


@pytest.mark.parametrize("layout", [
    {}, {"big_endian": True}, {"step": 16, "padding": 5}, {"offsets": (20, 4, 9), "step": 32},
    {"kind": "f8", "offsets": (0, 8, 16), "step": 24},
    {"big_endian": True, "offsets": (3, 11, 7), "step": 17, "padding": 1},
])  # fmt: skip
def test_every_layout(layout: dict[str, object], rng: np.random.Generator) -> None:
    points = rng.normal(size=(3, 4, 3)).astype(np.float32)
    points[1, 2] = np.nan
    read = cloud_points(cloud(points, **layout))  # type: ignore[arg-type]
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, points)


def test_real_message_of_ros(rng: np.random.Generator) -> None:
    sensor_msgs = pytest.importorskip("sensor_msgs.msg", reason="ROS 2 messages are not installed")
    points = rng.normal(size=(1, 5, 3)).astype(np.float32)
    made = vars(cloud(points))
    made["fields"] = [sensor_msgs.PointField(**vars(field)) for field in made["fields"]]
    np.testing.assert_array_equal(cloud_points(sensor_msgs.PointCloud2(**made)), points)


def test_clouds_that_cannot_be_read() -> None:
    points = np.zeros((2, 3, 3), np.float32)
    field = SimpleNamespace(name="x", offset=0, datatype=4, count=1)
    for changed, said in (
        ({"fields": []}, "expected fields x, y, z.*got none"),
        ({"fields": [field]}, r"got x \(type 4\)"),
        ({"point_step": 8}, "point_step of at least 12"),
        ({"row_step": 20}, "row_step of at least 36"),
        ({"height": 3}, "expected 108 bytes, got 72"),
        ({"data": array.array("B")}, "got 0"),
    ):
        with pytest.raises(ImageError, match=said):
            cloud_points(cloud(points, **changed))  # type: ignore[arg-type]
    assert cloud_points(cloud(points[:0])).shape == (0, 3, 3)


def organised(z: np.ndarray, camera: Camera) -> np.ndarray:
    """Return the points (H, W, 3) of a depth image."""
    height, width = z.shape
    return camera.rays(np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1)) * z[..., None]


def test_organised_cloud_of_the_same_camera_is_its_depth_image(rng: np.random.Generator) -> None:
    z = rng.uniform(0.5, 5, (480, 640)).astype(np.float32)
    z[rng.random(z.shape) < 0.2] = np.nan
    depth = cloud_to_depth(organised(z, CAMERA).astype(np.float32), CAMERA, 7)
    np.testing.assert_array_equal(depth.image, z)
    assert depth.registered
    assert depth.stamp_ns == 7


def test_organised_cloud_of_half_the_pixels_is_one_too(rng: np.random.Generator) -> None:
    half = Camera(np.array([[262.5, 0, 159.5], [0, 262.5, 119.5], [0, 0, 1]]), (320, 240))
    z = rng.uniform(0.5, 5, (240, 320)).astype(np.float32)
    depth = cloud_to_depth(organised(z, half).astype(np.float32), CAMERA)
    np.testing.assert_array_equal(depth.image, z)


def test_points_are_projected_and_the_nearest_counts() -> None:
    points = np.array([[0, 0, 2.0], [0, 0, 1.5], [0, 0, -1.0], [np.nan, 0, 1], [100, 0, 1]])
    depth = cloud_to_depth(points, CAMERA)
    assert np.nanmin(depth.image) == 1.5
    assert np.isfinite(depth.image).sum() == 1
    y, x = np.argwhere(np.isfinite(depth.image))[0]
    np.testing.assert_allclose(depth.grid.K[:2, 2], [x, y], atol=0.51)


@pytest.mark.parametrize("kept", [1.0, 0.2])
def test_keypoints_are_measured_in_an_unorganised_cloud_of_another_frame(kept: float, rng: np.random.Generator) -> None:
    """The cloud of a camera half a metre aside, shuffled, gives metres to people that the colour camera sees."""
    colour = posed("colour", (0, 0, 1.2), (4, 0, 0.9), (640, 480))
    other = posed("depth", (0, 0.5, 1.4), (4, 0, 0.9), (640, 480))
    truth = at([Person(line((3, 0), (2, 0)), 1.75, 0.0, gait=0.0)], 0.0)
    z = render(truth, 0, other).depth
    points = organised(z.image * z.scale, other.camera).reshape(-1, 3)
    points = rng.permutation(points)[: int(kept * len(points))]
    rotation = colour.rotation @ other.rotation.T
    depth = cloud_to_depth(points, colour.camera, 0, rotation, colour.translation - rotation @ other.translation)
    joints = truth.points("coco17")[0]
    poses = _seen(joints, colour)
    error = np.linalg.norm(measured(poses, colour.camera, depth).points - _in(joints, colour), axis=2)
    body = slice(5, None)
    assert np.isfinite(error[:, body]).mean() > 0.9
    assert np.nanmedian(error[:, body]) < 0.03


def _in(points: np.ndarray, camera: object) -> np.ndarray:
    return points @ camera.rotation.T + camera.translation  # type: ignore[attr-defined]


def _seen(joints: np.ndarray, camera: object) -> object:
    from pose_ros.core.poses import Poses
    from pose_ros.skeletons import catalogue

    n = len(joints)
    return Poses(catalogue.get("coco17"), camera.project(joints), np.full((n, 17), 0.9))  # type: ignore[attr-defined]
