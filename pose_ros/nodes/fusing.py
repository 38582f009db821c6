# SPDX-License-Identifier: Apache-2.0
"""Fusing: the work of a multi-view node, from skeletons of cameras to skeletons in their world."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.time import Time
from std_msgs.msg import Header

from pose_ros.core.poses import Poses
from pose_ros.core.skeleton import Skeleton
from pose_ros.core.stages import Stages
from pose_ros.fusion import Fusion
from pose_ros.multiview.health import CameraHealth
from pose_ros.multiview.rig import PosedCamera, Rig
from pose_ros.multiview.sync import Sync, Views
from pose_ros.nodes.looking import Looking
from pose_ros.nodes.multiview_options import MultiviewOptions
from pose_ros.nodes.tally import stamp_ns
from pose_ros.nodes.viewpoint import Sight, Viewpoint
from pose_ros.ros.frames import EXACT_S, Frames
from pose_ros.ros.health import Health
from pose_ros.ros.outputs import SkeletonOutputs
from pose_ros.skeletons import catalogue

#: How often to look whether anybody listens, and while something waits for transforms, whether they came; seconds.
_LOOK_S, _SOON_S = 0.1, 0.02
#: Newest stamps of cameras that send at the same time lie less than this apart; seconds.
_ONE_CLOCK_S = 1.0


@dataclass
class _Held:
    """A set that waits for transforms."""

    views: Views[Sight]
    until: float


class Fusing(Looking):
    """Hears the cameras while somebody listens, and answers each set of views. Used by the executor's thread only."""

    def __init__(
        self, node: Node, options: Callable[[], MultiviewOptions], rig: Rig | None, fusion: Fusion, sync: Sync[Sight],
        outputs: SkeletonOutputs, health: Health, *, exact: bool = False,
    ) -> None:
        """Join the parts; :meth:`start` starts.

        Args:
            node: Subscribes.
            options: Returns what holds at present.
            rig: The cameras where a file says what they are; otherwise CameraInfo and TF do.
            fusion: Makes skeletons in the world.
            sync: Makes sets of views.
            outputs: Publishes.
            health: Counts.
            exact: Whether what is said may depend on no clock.
        """
        super().__init__(node, health)
        self._exact = exact
        self._options, self._known = options, {c.name: c for c in rig} if rig is not None else None
        self.fusion, self.sync, self._outputs = fusion, sync, outputs
        self._frames: Frames | None = None
        #: Cameras by name, while they are heard.
        self.viewpoints: dict[str, Viewpoint] = {}
        self._held: deque[_Held] = deque()
        self._rig: Rig | None = rig
        #: Skeleton and model of each kind of parts that any camera sent.
        self._kinds: dict[str, tuple[Skeleton, str]] = {}
        self._announced: tuple[Skeleton, str, dict[str, tuple[Skeleton, str]]] | None = None
        self._reset = False
        #: Cameras that were part of the newest fusion.
        self.used: tuple[str, ...] = ()
        #: Whether sights are wanted at all.
        self.enabled = True

    @property
    def listening(self) -> bool:
        """Whether the cameras are heard."""
        return bool(self.viewpoints)

    def start(self) -> None:
        """Begin to work."""
        self._announced = None
        self._begin(self._look, _LOOK_S, self._turn, _SOON_S)

    def stop(self) -> None:
        """Rest, and end all tracks."""
        self._end()
        self._listen(False)
        self._reset = True

    def close(self) -> None:
        """Let go."""
        self.stop()

    def reset(self) -> None:
        """End all tracks before the next set."""
        self._reset = True

    def _look(self) -> None:
        self._guarded(lambda: self._listen(self.enabled and self._outputs.wanted(True)))
        self._guarded(self._turn)

    def _listen(self, wanted: bool) -> None:
        if wanted and not self.viewpoints:
            if self._known is None:
                self._frames = Frames(self._node, self._health.say, exact=self._exact)
            for name in self.sync.cameras:
                known = self._known[name] if self._known is not None else None
                self.viewpoints[name] = Viewpoint(self._node, name, self._options, known, self._take, self._health)
        elif not wanted and self.viewpoints:
            for viewpoint in self.viewpoints.values():
                viewpoint.close()
            if self._frames is not None:
                self._frames.close()
            self.viewpoints, self._frames, self.used = {}, None, ()
            self._held.clear()
            self.sync.reset()

    def _take(self, name: str, sight: Sight) -> None:
        self._guarded(lambda: self._add(name, sight))

    def _add(self, name: str, sight: Sight) -> None:
        self._health.took(0)
        # A clock that is off shows in when its views come, and that is what exact results do not depend on.
        if not self._exact and (off := self._off(name)):
            self.viewpoints[name].refuse(off)
            return
        views = self.sync(name, stamp_ns(sight), sight)
        while views is not None:
            wait = max(self._options().tf_wait, EXACT_S * self._exact)
            self._held.append(_Held(views, time.monotonic() + wait))
            views = self.sync.more()
        self._turn()

    def _turn(self) -> None:
        """Answer the sets whose transforms are there, or do not come."""
        while self._held and (time.monotonic() > self._held[0].until or not self._behind(self._held[0].views)):
            self._fuse(self._held.popleft().views)
        for soon in self._timers[1:]:
            if not self._held:
                soon.cancel()
            elif soon.is_canceled():
                soon.reset()

    def _behind(self, views: Views[Sight]) -> bool:
        frames, world = self._frames, self._options().world_frame
        return frames is not None and any(
            frames.behind(sight.header.frame_id, world, stamp) for stamp, sight in views.views.values()
        )

    def _fuse(self, views: Views[Sight]) -> None:
        stages = Stages()
        stages.add("transport", self._since(views.stamp_ns))
        if self._reset:
            self._reset = False
            self.fusion.reset()
        sights = {name: sight for name, (_, sight) in views.views.items()}
        skeleton = self._skeleton(sights)
        with stages("place"):
            cameras, seen = self._usable(views, skeleton)
        self.used = tuple(seen)
        for viewpoint in self.viewpoints.values():
            if viewpoint.name not in sights:
                viewpoint.miss(views.stamp_ns)
        if not seen:
            return
        self._rig = self._same(cameras)
        jumps = self.fusion.time_jumps
        parts = self._parts(views, seen)
        result = self.fusion(self._rig, seen, views.stamp_ns, stages, None if self._exact else self._now, parts)
        if self.fusion.time_jumps != jumps:
            self._health.say("time ran backwards: all tracks were ended")
        model = _model(sights[name].model for name in seen)
        if self._announced != (result.poses.skeleton, model, self._kinds):
            self._announced = result.poses.skeleton, model, dict(self._kinds)
            self._outputs.announce(*self._announced)
        stamp = views.stamp_ns if result.stamp_ns is None else result.stamp_ns
        header = Header(frame_id=self._options().world_frame, stamp=Time(nanoseconds=stamp).to_msg())
        self._outputs.publish(header, (0, 0), result.untimed() if self._exact else result)
        self._health.finished(self._since(views.stamp_ns), stages.ms["fuse"], len(result.poses),
                              {name: (len(part.poses), stages.ms[name]) for name, part in result.parts.items()},
                              stages.ms)

    def _since(self, stamp: int) -> float:
        """Return milliseconds since a stamp by the node's clock."""
        return (self._now() - stamp) * 1e-6

    def _now(self) -> int:
        """Return the time of the node's clock, nanoseconds."""
        now: int = self._node.get_clock().now().nanoseconds
        return now

    def _skeleton(self, sights: Mapping[str, Sight]) -> Skeleton:
        """Return the skeleton that is asked for, or that most cameras send."""
        name = self._options().skeleton
        if name:
            return catalogue.get(name)
        return Counter(sight.poses.skeleton for sight in sights.values()).most_common(1)[0][0]

    def _parts(
        self, views: Views[Sight], seen: Mapping[str, tuple[int, Poses]]
    ) -> dict[str, dict[str, tuple[int, Poses]]]:
        """Return what cameras in use saw of hands and faces: none, where they said nothing of them."""
        found: dict[str, dict[str, tuple[int, Poses]]] = {}
        for part in self.fusion.parts:
            came = {name: views.views[name][1].parts[part] for name in seen if part in views.views[name][1].parts}
            if came:
                kind = Counter(poses.skeleton for poses, _ in came.values()).most_common(1)[0][0]
                self._kinds[part] = kind, _model(model for poses, model in came.values() if poses.skeleton == kind)
            if part not in self._kinds:
                continue
            kind = self._kinds[part][0]
            for name in [name for name, (poses, _) in came.items() if poses.skeleton != kind]:
                self._health.say(f"{name}: its {part} are {came.pop(name)[0].skeleton.name}, those of the others "
                                 f"{kind.name}; run the same model on all cameras")
            nobody = Poses.empty(kind), ""
            found[part] = {name: (stamp, came.get(name, nobody)[0]) for name, (stamp, _) in seen.items()}
        return found

    def _usable(
        self, views: Views[Sight], skeleton: Skeleton
    ) -> tuple[list[PosedCamera], dict[str, tuple[int, Poses]]]:
        """Return the cameras of which all that is needed is known, and what they saw; the others say what is not."""
        frames = {name: sight.header.frame_id for name, (_, sight) in views.views.items()}
        twice = Counter(frames.values()) if self._known is None else Counter()
        cameras: list[PosedCamera] = []
        seen: dict[str, tuple[int, Poses]] = {}
        for name, (stamp, sight) in views.views.items():
            viewpoint = self.viewpoints[name]
            if twice[frames[name]] > 1:
                others = ", ".join(other for other in frames if frames[other] == frames[name] and other != name)
                viewpoint.refuse(f"its images are of frame '{frames[name]}', and those of {others} too, so that TF "
                                 "cannot tell where each stands; give every camera driver a frame_id of its own")
                continue
            camera = viewpoint.placed(sight, self._options().world_frame, self._frames)
            poses = viewpoint.fits(sight, skeleton) if camera is not None else None
            if camera is not None and poses is not None:
                cameras.append(camera)
                seen[name] = stamp, poses
                viewpoint.use()
        return cameras, seen

    def _same(self, cameras: list[PosedCamera]) -> Rig:
        """Return the same rig for as long as its cameras are the same and stand still."""
        world = self._options().world_frame
        if self._known is not None:
            cameras = list(self._known.values())
        before = self._rig
        if before is not None and before.frame_id == world and len(before) == len(cameras) and all(
            a is b for a, b in zip(before, cameras, strict=True)
        ):
            return before
        return Rig(cameras, world)

    def statuses(self) -> list[DiagnosticStatus]:
        """Return the diagnostics of the cameras."""
        health, late = self.fusion.fuser.health, self.fusion.fuser.late
        return [v.status(health.get(v.name, CameraHealth()), late.get(v.name)) for v in self.viewpoints.values()]

    def why_not(self) -> str:
        """Say why nothing is fused, while the cameras are heard."""
        told = {v.name: v.silence() if v.silent else v.problem or v.unmatched for v in self.viewpoints.values()}
        return "; ".join(f"{name}: {why}" for name, why in told.items() if why) or "their views come one by one"

    def _off(self, name: str) -> str:
        """Say how far the clock of a camera differs from those of the others; empty where it does not."""
        newest = sorted(v.newest_ns for v in self.viewpoints.values() if v.newest_ns and not v.silent)
        off_s = (self.viewpoints[name].newest_ns - newest[len(newest) // 2]) * 1e-9
        if abs(off_s) < _ONE_CLOCK_S:
            return ""
        return (f"its stamps are {abs(off_s):.1f} s {'ahead of' if off_s > 0 else 'behind'} those of the others, as if "
                "its clock differed; synchronise the clocks of the machines (chrony, PTP), or let all drivers stamp by "
                "one clock")


def _model(names: Iterable[str]) -> str:
    """Return what skeletons of several cameras come from."""
    return f"multiview({', '.join(sorted({*names}))})"
