# SPDX-License-Identifier: Apache-2.0
"""Multi-view node: skeletons of several cameras in, skeletons in their world out. The fusing does the work."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.context import Context

from pose_ros.errors import ConfigError, PoseRosError
from pose_ros.fusion import Fusion
from pose_ros.multiview.files import read_rig
from pose_ros.multiview.fuse import Fuser, FuserOptions
from pose_ros.multiview.sync import Sync
from pose_ros.nodes.fusing import Fusing
from pose_ros.nodes.managed import Closable, Managed
from pose_ros.nodes.multiview_options import BLOCKS, MultiviewOptions
from pose_ros.nodes.run import Stop, run
from pose_ros.nodes.viewpoint import Sight
from pose_ros.ros.outputs import SkeletonOutputs
from pose_ros.ros.params import Parameters
from pose_ros.tracking.point_filter import PointFilter
from pose_ros.tracking.track import Numbers, Tracker

_FINE = DiagnosticStatus.OK
#: The noise of hands as a part of their size is so many times that of bodies (MediaPipe's networks, the gymnast of
#: Pose2Sim's demonstration in four cameras), and what it may be at most.
_PARTS_NOISIER, _MOST_NOISE = 4.0, 0.2
_NO_FRAME = "expected none: skeletons of several cameras are filtered in world_frame, which does not move"


class MultiviewNode(Managed):
    """Lifecycle node around one :class:`Fusing`."""

    def __init__(self, name: str = "multiview", context: Context | None = None, **arguments: Any) -> None:
        """Declare parameters and services; with ``autostart``, become active as soon as it spins.

        Raises:
            ConfigError: A parameter does not fit.
        """
        super().__init__(name, "fusion", context, **arguments)
        self._fusing: Fusing | None = None
        try:
            self._given = Parameters(self, MultiviewOptions, self._change)
            for block, options in BLOCKS.items():
                self._given.add(block, options)
            self._given.refuse_unknown()
            self._change("filter", None, self._given["filter"])
        except PoseRosError:
            self.destroy_node()
            raise
        self._begin(self._given.options.autostart)

    def _options(self) -> MultiviewOptions:
        return self._given.options

    @property
    def _work(self) -> Fusing | None:
        return self._fusing

    def _prepare(self) -> Sequence[Closable]:
        """Read the calibration and advertise."""
        options, block = self._options(), self._given
        rig = read_rig(options.calibration, frame_id=options.world_frame) if options.calibration else None
        names = options.names(tuple(camera.name for camera in rig) if rig is not None else ())
        numbers = Numbers()

        def fusion(fuser: FuserOptions, parts: Mapping[str, Fusion] | None = None) -> Fusion:
            tracker, smoother = Tracker(block["tracker"], numbers), PointFilter(block["filter"])
            return Fusion(Fuser(fuser, block["association"], block["triangulation"]), tracker, smoother, parts)

        whole = fusion(block["fuser"], {name: fusion(_of_parts(block["fuser"])) for name in options.parts})
        sync: Sync[Sight] = Sync(names, block["sync"], exact=options.exact)
        outputs = SkeletonOutputs(self, self._options, up="z", parts=options.parts)
        self._fusing = Fusing(self, self._options, rig, whole, sync, outputs, self._health,
                              exact=options.exact)
        return [self._fusing, outputs]

    def _forget(self) -> None:
        self._fusing = None

    def _begun(self) -> str:
        assert self._fusing is not None
        options, cameras = self._options(), self._fusing.sync.cameras
        where = f"file '{options.calibration}'" if options.calibration else "camera_info and TF"
        return f"fuses {', '.join(cameras)} in '{options.world_frame}', calibrated by {where}"

    def _change(self, block: str, old: Any, new: Any) -> None:
        """Let a piece read its options anew."""
        if block == "filter" and new.filtering_frame:
            raise ConfigError("filter.filtering_frame", _NO_FRAME)
        fusing = self._fusing
        if fusing is None or not block:
            return
        if block == "sync":
            fusing.sync.options = new
        for fusion in (fusing.fusion, *fusing.fusion.parts.values()):
            own = _of_parts(new) if block == "fuser" and fusion is not fusing.fusion else new
            for name, owner, key in (
                ("fuser", fusion.fuser, "options"), ("association", fusion.fuser, "association"),
                ("triangulation", fusion.fuser, "triangulation"), ("tracker", fusion.tracker, "options"),
                ("filter", fusion.smoother, "options"),
            ):  # fmt: skip
                if name == block:
                    setattr(owner, key, own)

    def _why_silent(self) -> tuple[str, str]:
        assert self._fusing is not None
        return "nothing could be fused", self._fusing.why_not()

    def _tell(self, state: str, warning: str) -> None:
        fusing = self._fusing
        cameras = fusing.statuses() if fusing is not None else []
        wrong = [f"{status.name.partition(': ')[2]} is {status.message}" for status in cameras if status.level != _FINE]
        used = f"{len(fusing.used)} of {len(fusing.sync.cameras)}" if fusing is not None else ""
        self._health.report(state, warning or "; ".join(wrong), cameras, cameras=used,
                            world_frame=self._options().world_frame)


def _of_parts(options: FuserOptions) -> FuserOptions:
    """Return the options for hands and faces: less exact for their size, and cameras are judged by whole subjects."""
    return dataclasses.replace(options, leave_out=False, noise=min(_PARTS_NOISIER * options.noise, _MOST_NOISE))


def main(args: Sequence[str] | None = None) -> int:
    """Run the node as a process."""

    def make(context: Context, stop: Stop) -> MultiviewNode:
        return MultiviewNode(context=context)

    return run(make, args)


if __name__ == "__main__":
    raise SystemExit(main())
