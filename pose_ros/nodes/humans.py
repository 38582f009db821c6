# SPDX-License-Identifier: Apache-2.0
"""Humans: the work of the node that speaks REP-155, from skeletons to the topics below ``/humans``."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from geometry_msgs.msg import PointStamped
from hri_msgs.msg import FacialLandmarks, IdsList, IdsMatch, NormalizedRegionOfInterest2D, Skeleton2D
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from rclpy.time import Time
from rclpy.timer import Timer
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Header, String
from tf2_msgs.msg import TFMessage

from pose_ros.anatomy import humanoid
from pose_ros.core import quaternion
from pose_ros.core.poses import Poses, TrackState
from pose_ros.core.stages import Stages
from pose_ros.core.warp import crop, region_matrix
from pose_ros.msg import SkeletonArray
from pose_ros.nodes.hri_options import HriOptions
from pose_ros.nodes.stream import Stream, beside
from pose_ros.nodes.tally import stamp_ns
from pose_ros.ros import hri
from pose_ros.ros.health import Health
from pose_ros.ros.images import compressed_to_rgb, image_to_rgb, rgb_to_image
from pose_ros.ros.manners import elapsed_s
from pose_ros.ros.qos import LATCHED, RESULT, SENSOR_OUT, sensor
from pose_ros.ros.watchdog import why_silent

#: How often to look whether anybody listens, and whether skeletons still come; seconds.
_LOOK_S = 0.05
#: Who is in no array for so long has ended, whether that was heard or not; nanoseconds.
_FORGOTTEN_NS = 30 * 10**9
#: Images that wait for their skeletons.
_IMAGES = 10
#: Sights of a trunk before the first URDF, and over which lengths are averaged; parts by which one may be off before a
#: new URDF says so.
_FEW, _SIGHTS, _OFF = 5, 60, 0.1
#: Of topics that keep what was said before somebody subscribed.
_KEPT = sensor("reliable", RESULT.depth, latched=True)
_ROI = ("roi", NormalizedRegionOfInterest2D, RESULT)
_CROPPED = ("cropped", Image, SENSOR_OUT)
_BODY = (_ROI, ("skeleton2d", Skeleton2D, RESULT), ("joint_states", JointState, RESULT),
         ("position", PointStamped, RESULT), ("urdf", String, LATCHED))  # fmt: skip
_FACE = (_ROI, ("landmarks", FacialLandmarks, RESULT))


class _Tracked:
    """All bodies or all faces: the list of them, and the topics of each."""

    def __init__(
        self, node: Node, kind: str, namespace: str, topics: Iterable[tuple[str, type, QoSProfile]]
    ) -> None:
        self._node, self.kind, self._namespace, self._topics = node, kind, namespace, tuple(topics)
        self._newest_ns = 0
        self._list = node.create_publisher(IdsList, f"{namespace}/tracked", RESULT)
        self._each: dict[int, dict[str, Publisher]] = {}
        self._seen_ns: dict[int, int] = {}

    @property
    def anybody(self) -> bool:
        return bool(self._each)

    def listened(self) -> bool:
        publishers = [self._list, *(p for each in self._each.values() for p in each.values())]
        return any(p.get_subscription_count() for p in publishers)

    def update(self, msg: SkeletonArray, poses: Poses) -> np.ndarray:
        """Say who is tracked, with topics for all of them; returns the rows of those that are seen."""
        stamp = self._newest_ns = stamp_ns(msg)
        there = (poses.ids > 0) & ~np.isin(poses.states, (TrackState.UNTRACKED, TrackState.LOST))
        tracks = poses.ids[there].tolist()
        # New topics first: whoever hears of an id can subscribe at once.
        for track in tracks:
            self._seen_ns[track] = stamp
            if track not in self._each:
                stem = f"{self._namespace}/{hri.human_id(self.kind, track)}"
                self._each[track] = {
                    name: self._node.create_publisher(type_, f"{stem}/{name}", qos) for name, type_, qos in self._topics
                }
        self._list.publish(hri.ids_list(msg.header, [hri.human_id(self.kind, track) for track in tracks]))
        away = {track for track, seen in self._seen_ns.items() if not 0 <= stamp - seen < _FORGOTTEN_NS}
        self.end(away.union(msg.ended_ids.tolist()).difference(tracks))
        return np.flatnonzero(there & (poses.states != TrackState.PREDICTED))

    def of(self, track: int) -> Mapping[str, Publisher]:
        """Return topic -> publisher of somebody who is tracked."""
        return self._each[track]

    def end(self, tracks: Iterable[int]) -> None:
        """Take the topics of some away."""
        for track in tracks:
            self._seen_ns.pop(track, None)
            for publisher in self._each.pop(track, {}).values():
                self._node.destroy_publisher(publisher)

    def silent(self, msg: SkeletonArray, longest_s: float) -> bool:
        """Return whether nobody has been heard of for so long before an array; then says so, as of when it was."""
        before, stamp, longest = self._newest_ns, stamp_ns(msg), round(longest_s * 1e9)
        if not longest or not self._each or 0 <= stamp - before <= longest:
            return False
        self.nobody(Header(stamp=Time(nanoseconds=before + longest).to_msg(), frame_id=msg.header.frame_id))
        return True

    def nobody(self, header: Header | None) -> None:
        """Let nobody be tracked any more, and say so with this header."""
        if header is not None:
            self._list.publish(hri.ids_list(header, ()))
        self.end(list(self._each))

    def close(self) -> None:
        self.end(list(self._each))
        self._node.destroy_publisher(self._list)


class _Build:
    """How long somebody's limbs are."""

    def __init__(self) -> None:
        self._lengths = np.full(len(humanoid.LENGTHS), np.nan)
        self._sights = np.zeros(len(humanoid.LENGTHS))
        #: What was told last, (13,) metres.
        self.told: np.ndarray | None = None

    def learn(self, lengths: np.ndarray) -> np.ndarray | None:
        """Take the lengths of one moment; returns what has to be told now, if anything."""
        known = np.isfinite(lengths)
        self._sights = np.minimum(self._sights + known, _SIGHTS)
        before = np.where(np.isnan(self._lengths), lengths, self._lengths)
        self._lengths = np.where(known, before + (lengths - before) / np.maximum(self._sights, 1), before)
        # Without a trunk, the rest would hang on a guess.
        if self._sights[humanoid.LENGTHS.index("trunk")] < _FEW:
            return None
        whole = humanoid.completed(self._lengths)
        if self.told is not None and (np.abs(whole / self.told - 1) < _OFF).all():
            return None
        self.told = whole
        return whole


class Humans:
    """Hears skeletons while somebody listens, and answers each array. Used by the executor's thread only."""

    def __init__(self, node: Node, options: Callable[[], HriOptions], health: Health) -> None:
        """Advertise; :meth:`start` starts."""
        self._node, self._options, self._health = node, options, health
        start, self._exact = options(), options().exact
        more = (_CROPPED,) if start.cropped else ()

        def tracked(kind: str, of: str, topics: Iterable[tuple[str, type, QoSProfile]]) -> _Tracked:
            # What is said of somebody before anybody has subscribed to it would depend on the moment of that.
            kept = ((name, type_, _KEPT if self._exact and qos == RESULT else qos) for name, type_, qos in topics)
            return _Tracked(node, kind, f"{start.prefix}/{of}", kept)

        self._bodies = tracked("body", "bodies", (*_BODY, *more))
        self._faces = tracked("face", "faces", (*_FACE, *more)) if start.faces else None
        self._kinds = [kind for kind in (self._bodies, self._faces) if kind is not None]
        self._matches = node.create_publisher(IdsMatch, f"{start.prefix}/candidate_matches", RESULT)
        self._tf = node.create_publisher(TFMessage, "/tf", RESULT)
        self._builds: dict[int, _Build] = {}
        #: Where time went since the last bodies; faces come apart from them.
        self._stages = Stages()
        self._images: deque[Any] = deque(maxlen=_IMAGES)
        self._image_subscription: Any = None
        self.streams: dict[str, Stream] = {}
        self._timer: Timer | None = None
        self._heard, self._header = elapsed_s(node), Header()
        #: Whether skeletons are wanted at all.
        self.enabled = True

    @property
    def listening(self) -> bool:
        """Whether skeletons are heard."""
        return bool(self.streams)

    def start(self) -> None:
        """Begin to work."""
        self._timer = self._node.create_timer(_LOOK_S, lambda: self._guarded(self._look))

    def stop(self) -> None:
        """Rest; nobody is tracked any more."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
            self._timer = None
        self._listen(False)

    def close(self) -> None:
        """Let go, and take the topics away."""
        self.stop()
        for kind in self._kinds:
            kind.close()
        for publisher in (self._matches, self._tf):
            self._node.destroy_publisher(publisher)

    def reset(self) -> None:
        """Let everybody end; who is still there comes back with the next array."""
        # There is no moment of the skeletons at which it could be said.
        header = None if self._exact else Header(stamp=self._node.get_clock().now().to_msg(),
                                                 frame_id=self._header.frame_id)
        for kind in self._kinds:
            if kind.anybody:
                kind.nobody(header)
        self._builds = {}

    def _look(self) -> None:
        options = self._options()
        wanted = self._matches.get_subscription_count() or any(kind.listened() for kind in self._kinds)
        self._listen(self.enabled and bool(wanted or (options.publish_tf and self._tf.get_subscription_count())))
        if not self._exact and options.silence and abs(elapsed_s(self._node) - self._heard) > options.silence:
            self.reset()

    def _silent(self, kind: _Tracked, msg: SkeletonArray) -> bool:
        return self._exact and kind.silent(msg, self._options().silence)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # an executor ends with what its callbacks raise
            self._health.fail(error)

    def _listen(self, wanted: bool) -> None:
        options, node = self._options(), self._node
        if wanted and not self.streams:
            topic = options.skeletons_topic
            self.streams["bodies"] = Stream(node, topic, lambda *_: None, self._take(self._hear_bodies))
            if self._faces is not None:
                self.streams["faces"] = Stream(node, beside(topic, "faces"), lambda *_: None,
                                               self._take(self._time_faces))
            if options.cropped:
                compressed = options.image_topic.endswith("/compressed")
                self._image_subscription = node.create_subscription(
                    CompressedImage if compressed else Image, options.image_topic, self._hear_image,
                    sensor(depth=_IMAGES))
        elif not wanted and self.streams:
            for stream in self.streams.values():
                stream.close()
            if self._image_subscription is not None:
                node.destroy_subscription(self._image_subscription)
            self.streams, self._image_subscription = {}, None
            self._images.clear()
            self.reset()

    def _take(self, hear: Callable[[SkeletonArray, Poses], None]) -> Callable[[SkeletonArray, Poses], None]:
        def take(msg: SkeletonArray, poses: Poses) -> None:
            self._heard, self._header = elapsed_s(self._node), msg.header
            self._guarded(lambda: hear(msg, poses))

        return take

    def _time_faces(self, msg: SkeletonArray, poses: Poses) -> None:
        with self._stages("faces"):
            self._hear_faces(msg, poses)

    def _hear_image(self, msg: Any) -> None:
        self._images.append(msg)

    def _hear_bodies(self, msg: SkeletonArray, poses: Poses) -> None:
        if not hri.knows_skeleton2d(poses.skeleton):
            self._health.say(f"'{poses.skeleton.name}' is no body of a person, and REP-155 knows no other")
            return
        self._health.took(0)
        begin, options, header = time.monotonic(), self._options(), msg.header
        stages, self._stages = self._stages, Stages()
        stages.add("transport", (self._node.get_clock().now().nanoseconds - stamp_ns(msg)) * 1e-6)
        with stages("tracked"):
            if self._silent(self._bodies, msg):
                self._builds = {}
            rows = self._bodies.update(msg, poses)
        self._builds = {track: build for track, build in self._builds.items() if track in set(poses.ids.tolist())}
        seen = poses.select(rows).boxed()
        tracks = seen.ids.tolist()
        with stages("skeleton2d"):
            self._two_d(self._bodies, msg, seen, "skeleton2d", hri.skeletons2d)
        fitted = time.perf_counter()
        points = seen.points if seen.points is not None else seen.local_points
        if points is not None and len(seen):
            sure = np.where((seen.scores >= options.min_score)[..., None], points, np.nan)
            people = humanoid.humanoids(sure, seen.skeleton, options.trunk_turns)
            turns, frames = quaternion.from_rotations(people.rotations), []
            for row, track in enumerate(tracks):
                id, publishers = hri.human_id("body", track), self._bodies.of(track)
                build = self._builds.setdefault(track, _Build())
                changed = build.learn(people.lengths[row])
                if changed is not None:
                    publishers["urdf"].publish(String(data=humanoid.urdf(id, changed)))
                publishers["joint_states"].publish(hri.joint_state(header, id, people.angles[row]))
                place, turn = people.origins[row], turns[row]
                if seen.points is None or not np.isfinite(place).all():
                    continue
                publishers["position"].publish(hri.position(header, place))
                if not np.isfinite(turn).all():
                    continue
                frames.append(hri.frame(header, f"{options.tf_prefix}body_{id}", place, turn))
                if options.link_frames and build.told is not None:
                    frames += hri.links(header, id, people.angles[row], build.told, options.tf_prefix)
            self._send(frames)
        stages.add("joint_states", (time.perf_counter() - fitted) * 1e3)
        late_ms = (self._node.get_clock().now().nanoseconds - stamp_ns(msg)) * 1e-6
        self._health.finished(late_ms, (time.monotonic() - begin) * 1e3, len(tracks), {}, stages.ms)

    def _hear_faces(self, msg: SkeletonArray, poses: Poses) -> None:
        assert self._faces is not None
        options = self._options()
        self._silent(self._faces, msg)
        rows = self._faces.update(msg, poses)
        seen = poses.select(rows).boxed()
        known = hri.knows_landmarks(seen.skeleton)
        self._two_d(self._faces, msg, seen, "landmarks", hri.landmarks if known else None)
        frames = []
        for row, (track, parent) in enumerate(zip(seen.ids.tolist(), seen.parents.tolist(), strict=True)):
            id = hri.human_id("face", track)
            if parent:
                sure = float(np.clip(seen.subject_scores[row], 0, 1))
                self._matches.publish(hri.match(id, hri.human_id("body", parent), sure))
            frames += hri.face_frames(msg.header, seen, row, id, options.tf_prefix)
        self._send(frames)

    def _send(self, frames: list[Any]) -> None:
        if frames and self._options().publish_tf:
            self._tf.publish(TFMessage(transforms=frames))

    def _two_d(
        self, kind: _Tracked, msg: SkeletonArray, seen: Poses, name: str,
        translate: Callable[[Header, Poses, tuple[int, int]], list[Any]] | None,
    ) -> None:
        """Publish what is said in pixels; several cameras together have no image."""
        size = msg.image_width, msg.image_height
        if not all(size) or not len(seen):
            return
        told = translate(msg.header, seen, size) if translate is not None else [None] * len(seen)
        rgb = self._image(msg) if self._options().cropped else None
        for row, (track, keypoints) in enumerate(zip(seen.ids.tolist(), told, strict=True)):
            publishers = kind.of(track)
            region = hri.roi(msg.header, seen.boxes[row], float(seen.subject_scores[row]), size)
            publishers["roi"].publish(region)
            if keypoints is not None:
                publishers[name].publish(keypoints)
            if rgb is not None and region.xmax > region.xmin:
                publishers["cropped"].publish(rgb_to_image(self._cropped(rgb, region, kind.kind), msg.header))

    def _cropped(self, rgb: np.ndarray, region: NormalizedRegionOfInterest2D, kind: str) -> np.ndarray:
        """Return a part of an image; that of a face is scaled into a square, with black beside it."""
        height, width = rgb.shape[:2]
        x, y = int(region.xmin * width), int(region.ymin * height)
        part = rgb[y : max(y + 1, int(np.ceil(region.ymax * height))),
                   x : max(x + 1, int(np.ceil(region.xmax * width)))]  # fmt: skip
        if kind == "body":
            return part
        (high, wide), size = part.shape[:2], (self._options().face_size,) * 2
        square = np.array([wide / 2, high / 2, max(wide, high), max(wide, high), 0], np.float32)
        return crop(np.ascontiguousarray(part), region_matrix(square, size), size, border=0)

    def _image(self, msg: SkeletonArray) -> np.ndarray | None:
        """Return the image of an array, (H, W, 3) RGB."""
        for image in reversed(self._images):
            if image.header.stamp == msg.header.stamp:
                return compressed_to_rgb(image) if isinstance(image, CompressedImage) else image_to_rgb(image)
        self._health.say(f"there is no image with the stamp of the skeletons among the last {_IMAGES} of image_topic")
        return None

    def why_not(self) -> str:
        """Say why nothing is told, while skeletons are heard."""
        stream, qos = self.streams["bodies"], sensor("reliable")
        topic, kind = (stream.topics[0], "Info") if stream.early else (self._options().skeletons_topic, "Array")
        why = why_silent(self._node, topic, f"pose_ros/msg/Skeleton{kind}", qos, "skeletons", "skeletons_topic")
        return f"skeletons come, but nothing explains them: {why}" if stream.early else why
