# SPDX-License-Identifier: Apache-2.0
"""``pose-ros view``: bags, live topics and videos in Rerun's viewer."""

from __future__ import annotations

import argparse
import itertools
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pose_ros.cli import console
from pose_ros.cli.run import add_model
from pose_ros.errors import ConfigError, SourceError

if TYPE_CHECKING:
    from pose_ros.cli.view_messages import Messages
    from pose_ros.cli.view_viewer import Viewer

_EPILOG = """\
examples:
  pose-ros view recording/                          a bag: images, skeletons, TF, actions, diagnostics
  pose-ros view out/skeletons camera.mcap           what the recorder wrote, over the bag with the images
  pose-ros view --live                              all topics that it can show, until Ctrl-C
  pose-ros view --live --topics '/robot1/*' --save robot1.rrd --serve
  pose-ros view clip.mp4 --hands --save clip.rrd    run a model on a video, write a file for `rerun clip.rrd`
  pose-ros view camera.mcap --model rtmpose-m       run a model on the images of a bag

Without --save and --serve a window opens; it stays when the command ends.

"""
IMAGES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
SKELETON_INFO = "pose_ros/msg/SkeletonInfo"
#: Messages of a bag after which views are arranged anew, so that something is seen while it is read.
_ARRANGE_EVERY = 300
_JPEG_QUALITY = 85


def add(commands: Any, common: argparse.ArgumentParser, exit_codes: str) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "view", parents=[common], help="images, skeletons, TF, latencies and actions in Rerun's viewer; needs no ROS",
        description="Show bags, live topics and videos in Rerun's viewer. Only --live needs ROS.",
        epilog=_EPILOG + exit_codes, formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", metavar="SOURCE", nargs="*", help="bags, or one video, webcam number or `demo`")
    parser.add_argument("--live", action="store_true", help="listen to ROS 2 topics until Ctrl-C")
    parser.add_argument("--seconds", type=float, default=0.0, help="how long to listen; 0: until Ctrl-C")
    parser.add_argument("--topics", metavar="PATTERN", action="append", default=[],
                        help="only topics of this pattern, such as '/robot1/*'; may be given several times")
    parser.add_argument("--save", metavar="FILE", type=Path, help="write a recording (.rrd)")
    parser.add_argument("--serve", action="store_true", help="serve the viewer as a web page, until Ctrl-C")
    parser.add_argument("--host", default="127.0.0.1", help="address of the web page; others than this machine are "
                        "shown all, without a password, where it is not %(default)s")
    parser.add_argument("--port", type=int, default=0, help="of the web page; 0: any that is free")
    parser.add_argument("--max-frames", type=int, default=0, metavar="N", help="stop a video after N frames")
    parser.add_argument("--min-score", type=float, default=0.3, metavar="S",
                        help="draw keypoints from this score on (default: %(default)s)")
    add_model(parser, default="", help="[detector+]estimator to run on a video (default: blazepose-full), or on the "
              "images of a bag in place of what was recorded")
    parser.set_defaults(handler=handle)


def handle(args: argparse.Namespace) -> int:
    """Run the command."""
    if bool(args.sources) == args.live:
        raise ConfigError("SOURCE", "expected bags, a video, or --live; one of them")
    bags = [source for source in args.sources if is_bag(source)] if not args.model else []
    if bags != args.sources and len(args.sources) > 1:
        raise ConfigError("SOURCE", "expected bags, or one video; of several, the times do not fit together")
    from pose_ros.cli.view_viewer import Viewer

    shown = {"save": args.save, "window": not (args.save or args.serve), "serve": args.serve}
    with Viewer(**shown, host=args.host, port=args.port) as viewer:
        if viewer.url:
            console.note(f"the viewer is at {viewer.url}")
        try:
            count = _live(args, viewer) if args.live else _bags(args, viewer) if bags else _video(args, viewer)
        except KeyboardInterrupt:
            count = Counter()
        if args.json:
            console.show_json({"topics": count, "saved": args.save, "url": viewer.url or None})
        else:
            console.show(console.Table(["topic", "messages"], sorted(count.items())))
        if args.serve and not args.live:
            _wait()
    return 0


def is_bag(source: str) -> bool:
    """Return whether a source is a bag as a whole, not the images of one of its topics."""
    from pose_ros.media.sources import BAG_SUFFIXES

    path = Path(source).expanduser()
    return (path / "metadata.yaml").is_file() or (path.is_file() and path.suffix.lower() in BAG_SUFFIXES)


def choose(topics: Mapping[str, str], patterns: Sequence[str], known: Collection[str]) -> list[str]:
    """Return which topics are shown.

    Args:
        topics: Topic -> message type.
        patterns: Of topics; with none, all but what is shown anyway: raw images beside compressed ones, and annotated
            images, which nodes draw only while somebody looks.
        known: Message types that can be shown.
    """
    named = [t for t in topics if topics[t] in known and (not patterns or any(fnmatchcase(t, p) for p in patterns))]
    if patterns:
        return named
    return [t for t in named if not (
        topics[t] in IMAGES and (f"{t}/compressed" in topics or "image_annotated" in t.split("/"))
    )]


def _messages(args: argparse.Namespace, viewer: Viewer) -> Messages:
    from pose_ros.cli.view_messages import Messages
    from pose_ros.viewer.scene import Scene

    return Messages(Scene(viewer.recording, min_score=args.min_score), lambda text: console.note(f"pose-ros: {text}"))


def _bags(args: argparse.Namespace, viewer: Viewer) -> Counter[str]:
    """Show bags one after the other: the viewer puts everything at its time."""
    from pose_ros.media.bag_file import BagFile

    messages, count = _messages(args, viewer), Counter[str]()
    for source in args.sources:
        bag = BagFile(source, Path(source).expanduser())
        try:
            types = {connection.topic: connection.msgtype for connection in bag.connections}
            chosen = choose(types, args.topics, messages.types)
            if not chosen:
                found = ", ".join(sorted(types)) or "none"
                raise SourceError(source, f"expected topics that can be shown, found: {found}")
            shown = [connection for connection in bag.connections if connection.topic in chosen]
            # Whoever names keypoints may have been recorded after the first of them.
            infos = [connection for connection in shown if connection.msgtype == SKELETON_INFO]
            total = sum(connection.msgcount for connection in shown)
            with console.progress(source) as progress:
                for connections in (infos, [connection for connection in shown if connection not in infos]):
                    for connection, log_ns, data in bag.messages(connections):
                        with bag.reading():
                            msg = bag.deserialize(data, connection.msgtype)
                        messages.take(connection.topic, connection.msgtype, msg, log_ns)
                        count[connection.topic] += 1
                        if count.total() % _ARRANGE_EVERY == 0:
                            messages.arrange()
                        progress(count.total(), total)
        finally:
            bag.close()
    messages.finish()
    return count


def _live(args: argparse.Namespace, viewer: Viewer) -> Counter[str]:
    from pose_ros.cli.view_live import listen

    messages = _messages(args, viewer)
    return listen(messages, lambda topics: choose(topics, args.topics, messages.types), args.seconds)


def _video(args: argparse.Namespace, viewer: Viewer) -> Counter[str]:
    """Run a model, and show what it says."""
    import cv2

    from pose_ros.cli.runner import Runner
    from pose_ros.core.kinds import PARTS
    from pose_ros.media.sources import open_source
    from pose_ros.viewer.scene import Scene

    args.model = args.model or "blazepose-full"
    count = 0
    with open_source(args.sources[0]) as source:
        pipeline = Runner(args).pipeline(follow=True)
        scene = Scene(viewer.recording, absolute=source.absolute, min_score=args.min_score)
        with console.progress(source.name) as progress:
            for count, frame in enumerate(itertools.islice(source, args.max_frames or None), 1):
                result = pipeline(frame)
                name = frame.frame_id or "camera"
                scene.at(frame.stamp_ns, frame.stamp_ns)
                picture = cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR)
                _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
                scene.image("/camera/image", name, data.tobytes(), "image/jpeg")
                if frame.camera is not None:
                    scene.camera("/camera/camera_info", name, frame.camera)
                scene.poses("/pose/skeletons", name, result.poses, stages_ms=result.stages.ms)
                for part, poses in result.part_poses.items():
                    scene.poses(f"/pose/{part}/skeletons", name, poses, kind=PARTS[part])
                scene.arrange()
                progress(count, source.length or 0)
    return Counter({"/camera/image": count})


def _wait() -> None:
    console.note("Ctrl-C ends it")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass
