# SPDX-License-Identifier: Apache-2.0
"""RGB-D: keypoints get metres from a depth image, and say how sure they are of them."""

from __future__ import annotations

import numpy as np

from pose_ros.anatomy.limbs import LimbLengths, lengths_of, limbs
from pose_ros.core.camera import Camera
from pose_ros.core.depth import Depth
from pose_ros.core.poses import Poses, Source
from pose_ros.core.regions import keypoints_to_boxes
from pose_ros.core.skeleton import Skeleton
from pose_ros.rgbd.choice import choose
from pose_ros.rgbd.complete import complete
from pose_ros.rgbd.options import DepthOptions
from pose_ros.rgbd.owners import claims
from pose_ros.rgbd.parts import holding, offsets, sizes, trunk
from pose_ros.rgbd.patches import Surfaces, median, sample, surfaces
from pose_ros.rgbd.view import in_colour

#: Surfaces around one keypoint that are looked at: it, something before it and something behind it.
_SURFACES = 2
#: Radius of a patch, pixels.
_SMALLEST, _LARGEST = 1.0, 40.0
#: Lowest score by which the variance of a pixel is divided, and above which a keypoint says where its body is.
_LOWEST, _SURE = 0.03, 0.2
#: A keypoint that is so far off across its ray is so much, as a part of that, off along it: bodies are round.
_RELIEF = 0.5
#: A keypoint that somebody hides is so many times as far off as its score says: a network can only guess it.
_GUESS = 3.0
#: Nothing of a body is farther behind its middle, metres, where it can be seen at all.
_THICK = 0.2
#: A body of which so many times more keypoints are refused than are not is not what is seen there.
_MOST_REFUSED = 2.0
#: Standard deviation of the distance from skin to joint, as a part of it: people differ, and are seen from any side.
_OFFSET_SIGMA = 0.35


def measured(
    poses: Poses, camera: Camera, depth: Depth, options: DepthOptions | None = None, lengths: np.ndarray | None = None
) -> Poses:
    """Return poses with ``points``, ``covariances`` and ``sources`` from a depth image of the same moment.

    A point that was sampled has the source of its keypoint (``MEASURED``, or ``INFERRED`` where that was made of
    others). One that was computed from the length of its limb is ``INFERRED``. Anything else is NaN and ``MISSING``;
    keypoints that are ``HELD`` from earlier images are not looked for, and stay so.

    Args:
        poses: Keypoints in pixels of the colour image.
        camera: Of the colour image.
        depth: Registered or not, of any resolution.
        options: How to measure.
        lengths: (N, L) metres, known lengths of the limbs (:func:`pose_ros.anatomy.limbs.limbs`); NaN unknown.

    Returns:
        Points are metres in the colour camera's optical frame. Joints lie behind the skin (``options.joint_offset``).
    """
    options = options or DepthOptions()
    n, k = poses.scores.shape
    looked = (poses.sources == Source.MEASURED) | (poses.sources == Source.INFERRED)
    clear = looked & (poses.scores >= options.min_score)
    rays = np.where(looked[..., None], camera.rays(poses.keypoints), np.nan)
    view = in_colour(depth, rays, options.min_range, options.max_range)
    size, offset = sizes(poses.skeleton), offsets(poses.skeleton) * options.joint_offset

    pixels = _pixels(view, poses.keypoints, rays, camera)
    found = _look(view, pixels, size, _body_guess(view, pixels, poses, options), options)
    z = found.z.reshape(n, k, found.z.shape[1])
    body = _body(z[..., 0], poses)
    # Behind the skin along the ray; the depth of the joint, not its distance.
    behind = offset / np.linalg.norm(rays, axis=2)
    noise = options.noise_base + options.noise_square * z**2
    lateral = _pixel_noise(poses, options)
    across = np.nan_to_num(body)[:, None] * lateral / camera.K[0, 0]
    sigma = np.sqrt(np.nan_to_num(noise[..., 0]) ** 2 + across**2 + (_OFFSET_SIGMA * np.nan_to_num(behind)) ** 2)
    joints = np.where(clear[..., None], z + behind[..., None], np.nan)
    if options.foreground and n > 1:
        foreign, body = claims(rays, joints, behind, body, _tells(poses), poses.skeleton)
        joints[foreign] = np.nan
        hidden = np.where(foreign[..., 0], _GUESS, 1)
        lateral, across, sigma = hidden * lateral, hidden * across, hidden * sigma
    chosen = _choice(joints, sigma, rays, body, poses.skeleton, options, lengths)
    pick = np.minimum(chosen, z.shape[2] - 1)[..., None]
    took, spread, error = (
        np.take_along_axis(column, pick, axis=2)[..., 0] for column in (z, found.spread.reshape(z.shape), noise)
    )
    seen = (chosen < z.shape[2]) & np.isfinite(took) & clear
    depths = np.where(seen, took + behind, np.nan)
    variance = error**2 + spread**2 + (_OFFSET_SIGMA * behind) ** 2 + (_RELIEF * across) ** 2
    sources = np.where(seen, poses.sources, np.where(looked, Source.MISSING, poses.sources))
    if options.limb_check and seen.sum() < looked.sum():
        # The background says nothing: the keypoint just missed its limb.
        with np.errstate(invalid="ignore"):
            shown = np.where(joints[..., 0] - behind < body[:, None] + _THICK, joints[..., 0], np.nan)
        known = _lengths(poses.replace(points=rays * depths[..., None], sources=sources), lengths)
        depths, variance = complete(depths, variance, rays, shown, body, limbs(poses.skeleton).ends, known)
        sources = np.where(np.isfinite(depths) & ~seen, Source.INFERRED, sources)
    return poses.replace(
        points=rays * depths[..., None], sources=sources,
        covariances=_covariances(rays, depths, variance, lateral, camera),
    )


class DepthMeasurer:
    """:func:`measured` over time: it learns how long the limbs of each tracked subject are."""

    def __init__(self, options: DepthOptions | None = None) -> None:
        """Start with nobody; ``options`` may be replaced at any time."""
        self.options = options or DepthOptions()
        self._lengths = LimbLengths()

    def reset(self) -> None:
        """Forget everybody."""
        self._lengths.reset()

    def __call__(self, poses: Poses, camera: Camera, depth: Depth, stamp_ns: int) -> Poses:
        """Return poses with points; see :func:`measured`.

        Args:
            poses: With ids, where lengths are to be learnt.
            camera: Of the colour image.
            depth: Of the same moment.
            stamp_ns: Of the colour image; one before the last starts over.
        """
        if not self.options.limb_check:
            return measured(poses, camera, depth, self.options)
        result = measured(poses, camera, depth, self.options, self._lengths.known(poses))
        self._lengths.update(result, stamp_ns)
        return result


def _pixels(view: Depth, keypoints: np.ndarray, rays: np.ndarray, camera: Camera) -> np.ndarray:
    """Return (N, K, 2), the pixels of the depth image that look where the keypoints are."""
    grid = view.grid
    if view.camera is camera:
        ratio = np.array(grid.size_wh) / camera.size_wh
        return np.where(np.isnan(rays[..., :2]), np.nan, (keypoints + 0.5) * ratio - 0.5)
    return grid.project(rays)


def _pixel_noise(poses: Poses, options: DepthOptions) -> np.ndarray:
    """Return (N, K) pixels, the standard deviation of where keypoints are seen."""
    boxes = keypoints_to_boxes(poses.keypoints)
    size = np.sqrt(np.nan_to_num((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)))
    one = np.hypot(options.pixel_noise, options.keypoint_noise * size)[:, None]
    return one / np.sqrt(np.maximum(poses.scores, _LOWEST))


def _body_guess(view: Depth, pixels: np.ndarray, poses: Poses, options: DepthOptions) -> np.ndarray:
    """Return (N,) metres: the median depth of the trunk's own pixels; it only has to be good enough for a size."""
    own = trunk(poses.skeleton)
    z = np.full(poses.scores.shape, np.nan)
    centre = sample(view, pixels[:, own].reshape(-1, 2), None, options.min_range, options.max_range)[:, 0]
    z[:, own] = np.where(np.isfinite(centre), centre, np.nan).reshape(len(z), own.sum())
    return _body(z, poses)


def _body(z: np.ndarray, poses: Poses) -> np.ndarray:
    """Return (N,) metres: the median depth of those keypoints that are sure and belong to the trunk and limbs."""
    known = np.isfinite(z)
    sure = known & _tells(poses)
    # Whoever shows none of these is where the rest of him is.
    kept = np.sort(np.where(np.where(sure.any(axis=1)[:, None], sure, known), z, np.inf), axis=1)
    count = np.isfinite(kept).sum(axis=1)
    return np.where(count > 0, kept[np.arange(len(z)), np.maximum(count - 1, 0) // 2], np.nan)


def _tells(poses: Poses) -> np.ndarray:
    """Return (N, K) bool: keypoints that say how far away their subject is."""
    return np.asarray(trunk(poses.skeleton) & (poses.scores >= _SURE))


def _look(view: Depth, pixels: np.ndarray, size: np.ndarray, body: np.ndarray, options: DepthOptions) -> Surfaces:
    """Return what is seen around every keypoint, (N K, C)."""
    near = np.where(np.isfinite(body) & (body > 0), body, options.max_range)
    radius = np.clip(options.patch * view.grid.K[0, 0] / near[:, None] * size, _SMALLEST, _LARGEST)
    samples = sample(view, pixels.reshape(-1, 2), radius.ravel(), options.min_range, options.max_range)
    least = max(2, round(options.min_share * samples.shape[1]))
    if not options.foreground:
        return median(samples, least)
    noise = options.noise_base + options.noise_square * near**2
    window = np.repeat(options.surface_gap + 4 * noise, pixels.shape[1])
    return surfaces(samples, window, least, _SURFACES)


def _choice(
    z: np.ndarray, sigma: np.ndarray, rays: np.ndarray, body: np.ndarray, skeleton: Skeleton, options: DepthOptions,
    lengths: np.ndarray | None,
) -> np.ndarray:
    """Return (N, K), the surface of each keypoint; the number of surfaces where it is on none."""
    if not options.foreground and not options.limb_check:
        return np.where(np.isfinite(z[..., 0]), 0, z.shape[2])
    held, longest, which = holding(skeleton)
    kept = slice(None) if options.limb_check else slice(0)
    known = np.empty((len(z), 0)) if lengths is None else lengths[:, which]
    seen = np.isfinite(rays[..., 0])
    points = rays[:, :, None] * z[..., None]
    chosen = choose(points, sigma, seen, body, held[kept], longest[kept], known)
    none = z.shape[2]
    counted = np.isfinite(z[..., 0]) & trunk(skeleton)
    refused, accepted = ((counted & which).sum(axis=1) for which in (chosen == none, chosen < none))
    return np.where((refused > _MOST_REFUSED * accepted)[:, None], none, chosen)


def _lengths(poses: Poses, known: np.ndarray | None) -> np.ndarray:
    """Return (N, L) metres: lengths that are known, else those of the other side in this image."""
    mirrored = lengths_of(poses)[:, limbs(poses.skeleton).mirror]
    return mirrored if known is None else np.where(np.isfinite(known), known, mirrored)


def _covariances(
    rays: np.ndarray, z: np.ndarray, variance: np.ndarray, lateral: np.ndarray, camera: Camera
) -> np.ndarray:
    """Return (N, K, 3, 3): an error of the depth moves a point along its ray, one of the keypoint across it.

    Args:
        rays: (N, K, 3), z is 1.
        z: (N, K) metres.
        variance: (N, K) square metres, of z.
        lateral: (N, K) pixels, standard deviation of keypoints.
        camera: Of the colour image.
    """
    out = variance[..., None, None] * rays[..., :, None] * rays[..., None, :]
    out[..., 0, 0] += (z * lateral / camera.K[0, 0]) ** 2
    out[..., 1, 1] += (z * lateral / camera.K[1, 1]) ** 2
    out[np.isnan(z)] = np.nan
    return out
