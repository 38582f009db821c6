# SPDX-License-Identifier: Apache-2.0
"""Run one model over images and videos, and keep what it says as data and as annotated media."""

from __future__ import annotations

import argparse
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from pose_ros.cli import console
from pose_ros.cli.fetching import fetch
from pose_ros.cli.results import frame_to_dict, pipeline_to_dict
from pose_ros.core.frame import Frame
from pose_ros.errors import ConfigError, ImageError, SourceError
from pose_ros.media.annotate import annotate
from pose_ros.media.images import Images
from pose_ros.media.source import Source
from pose_ros.media.sources import open_source
from pose_ros.media.video import VideoWriter, write_image
from pose_ros.models.store import Store
from pose_ros.pipeline import Pipeline, Result
from pose_ros.wiring import build, models

#: What looks at the hands and faces of people unless the user names something else.
PART_MODELS = {"hands": "mediapipe-hand-landmark-full", "faces": "mediapipe-face-mesh-iris"}
#: Frames per second of an annotated video whose source does not say.
_FPS_UNKNOWN = 30.0


class Runner:
    """One model for all sources; a video is followed over time, an image stands for itself."""

    def __init__(self, args: argparse.Namespace) -> None:
        """Load nothing yet; ``args`` are those of the command."""
        self.args = args
        #: Whether the user has ended it; what was found until then counts.
        self.interrupted = False
        self._pipelines: dict[bool, Pipeline] = {}
        self._used: Counter[str] = Counter()

    def pipeline(self, follow: bool) -> Pipeline:
        """Return the model, which knows nobody yet; ``follow`` is for images that follow one another."""
        if follow not in self._pipelines:
            store = Store()
            most = {} if self.args.max_subjects is None else {"max_subjects": self.args.max_subjects}
            config: dict[str, Any] = {k: getattr(self.args, k) for k in ("model", "device", "skeleton")}
            config = {**config, "track": follow, "exact": follow, "one_stage": most,
                      "top_down": {"follow": follow, **most}}
            config |= {part: {"model": model} for part, model in PART_MODELS.items() if getattr(self.args, part)}
            set_all(config, self.args.set)
            # Who has to accept a licence should learn that before anything is downloaded.
            for card in sorted(models(config, store), key=lambda card: not store.asks(card)):
                fetch(store, card)
            self._pipelines[follow] = build(config, store)
        pipeline = self._pipelines[follow]
        pipeline.reset()
        return pipeline

    def about(self) -> dict[str, Any]:
        """Return what ran and on which keypoints."""
        if not self._pipelines:
            return {"model": self.args.model, "device": None, "skeleton": None}
        pipeline = next(iter(self._pipelines.values()))
        return pipeline_to_dict(pipeline)

    def run(self, specs: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the results of each source; one that cannot be read says why, and the next one has its turn."""
        for spec in specs:
            if self.interrupted:
                return
            yield self._run(spec)

    def _run(self, spec: str) -> dict[str, Any]:
        found: dict[str, Any] = {"source": spec, "frames": []}
        try:
            with open_source(spec) as source:
                still = isinstance(source, Images)
                found["kind"] = "image" if still else "video"
                self._frames(source, self.pipeline(follow=not still), found)
        except KeyboardInterrupt:
            self.interrupted = True
        except (SourceError, ImageError) as error:
            console.note(f"pose-ros: {error}")
            found["error"] = str(error)
        return found

    def _frames(self, source: Source, pipeline: Pipeline, found: dict[str, Any]) -> None:
        args = self.args
        total = -(-source.length // args.every) if source.length else 0
        total = min(total, args.max_frames) if args.max_frames and total else total or args.max_frames
        frames = itertools.islice(source, 0, None, args.every)
        frames = itertools.islice(frames, args.max_frames or None)
        began = None
        fps = source.fps / args.every if source.fps else None
        path = self._name(source, ".jpg" if found["kind"] == "image" else ".mp4")
        with _Media(path, fps, args.min_score) as media, console.progress(source.name) as progress:
            for count, frame in enumerate(frames):
                result = pipeline(frame)
                began = frame.stamp_ns if began is None else began
                found["width"], found["height"] = frame.size_wh
                found["frames"].append(frame_to_dict(result, count * args.every, (frame.stamp_ns - began) / 1e9))
                media.write(frame, result)
                found.update({} if path is None else {"annotated": str(path)})
                if source.length != 1:
                    progress(count + 1, total)

    def _name(self, source: Source, suffix: str) -> Path | None:
        """Return where the annotated copy goes; two sources of one name get two files."""
        if self.args.output is None:
            return None
        stem = re.sub(r"[^\w.-]+", "_", Path(source.name).stem or source.name)
        self._used[stem] += 1
        again = f"_{self._used[stem]}" if self._used[stem] > 1 else ""
        return Path(self.args.output / f"{stem}_pose{again}{suffix}")


class _Media:
    """The annotated copy of one source: a picture, or a video that is opened with its first frame."""

    def __init__(self, path: Path | None, fps: float | None, min_score: float) -> None:
        self.path, self._min_score = path, min_score
        self._fps = fps or _FPS_UNKNOWN
        self._video: Any = None

    def __enter__(self) -> _Media:
        return self

    def __exit__(self, *_: object) -> None:
        if self._video is not None:
            self._video.close()

    def write(self, frame: Frame, result: Result) -> None:
        """Add one frame."""
        if self.path is None:
            return
        drawn = annotate(frame.image, result.poses, result.part_poses, self._min_score, camera=frame.camera)
        if self.path.suffix == ".mp4":
            self._video = self._video or VideoWriter(self.path, self._fps)
            self._video.write(drawn)
        else:
            write_image(self.path, drawn)


def set_all(config: dict[str, Any], texts: Sequence[str]) -> None:
    """Put what ``--set KEY=VALUE`` says into a configuration; the part of a key before its dot is a block."""
    for key, value in map(_setting, texts):
        *block, name = key.split(".", 1)
        (config.setdefault(block[0], {}) if block else config)[name] = value


def _setting(text: str) -> tuple[str, Any]:
    """Return key and value of ``KEY=VALUE``; the value is read as YAML."""
    key, equals, value = text.partition("=")
    try:
        if equals:
            return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError:
        pass
    raise ConfigError("--set", f"expected KEY=VALUE, such as estimator.flip_test=true, got '{text}'")
