# SPDX-License-Identifier: Apache-2.0
"""Plain: messages as JSON objects for the web page. What is missing is null, because JSON knows no NaN."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pose_ros.core.poses import SIDE_NAMES

#: Letters of REP-103's optical frames, in which y points down; other frames have z up.
_OPTICAL = ("optical", "optical_frame")
#: Latencies beyond this say that the stamps are of another clock, such as that of a recording; seconds.
_OTHER_CLOCK_S = 60.0
#: Decimals of pixels, scores and metres.
_PX, _SCORE, _M = 1, 3, 4


def skeletons(msg: Any, now_ns: int) -> dict[str, Any]:
    """Return a SkeletonArray.

    Args:
        msg: SkeletonArray.
        now_ns: Time of this machine, for the age of the message.
    """
    return {
        "schema": msg.schema, "model": msg.model, "frame": msg.header.frame_id,
        "optical": msg.header.frame_id.endswith(_OPTICAL), "size": [msg.image_width, msg.image_height],
        "age_ms": age_ms(msg.header, now_ns),
        "stages": dict(zip(msg.stage_names, numbers(msg.stage_ms, 1), strict=False)),
        "subjects": [
            {
                "id": s.track_id, "parent": s.parent_id, "label": s.label, "state": s.track_state,
                "side": SIDE_NAMES.get(s.side, ""), "score": numbers([s.score], _SCORE)[0],
                "keypoints": numbers(s.keypoints, _PX), "scores": numbers(s.scores, _SCORE),
                "points": numbers(s.points, _M), "local_points": numbers(s.local_points, _M),
                "measures": numbers(s.measures, _M),
            }
            for s in msg.skeletons
        ],
    }


def info(msg: Any) -> dict[str, Any]:
    """Return a SkeletonInfo."""
    return {
        "schema": msg.name, "names": list(msg.keypoint_names), "edges": np.asarray(msg.edges, int).tolist(),
        "colors": np.asarray(msg.colors, int).tolist(), "flip": np.asarray(msg.flip, int).tolist(),
        "measures": list(msg.measure_names), "units": list(msg.measure_units),
    }


def actions(msg: Any) -> dict[str, Any]:
    """Return an ActionArray."""
    return {
        "schema": msg.schema,
        "actions": [
            {
                "name": a.name, "recogniser": a.recogniser, "phase": a.phase, "score": numbers([a.score], _SCORE)[0],
                "id": a.track_id, "count": a.count,
                "side": SIDE_NAMES.get(a.side, ""),
                "values": [[name, unit, value] for name, unit, value in
                           zip(a.value_names, a.value_units, numbers(a.values, _SCORE), strict=False)],
            }
            for a in msg.actions
        ],
    }


def status(msg: Any) -> dict[str, Any]:
    """Return a DiagnosticStatus."""
    values: Mapping[str, str] = {pair.key: pair.value for pair in msg.values}
    return {"name": msg.name, "node": msg.hardware_id, "level": ord(msg.level) if isinstance(msg.level, bytes)
            else int(msg.level), "message": msg.message, "values": values}


def age_ms(header: Any, now_ns: int) -> float | None:
    """Return how long ago the image was taken; None where its stamp is of another clock."""
    age_s = (now_ns - header.stamp.sec * 1_000_000_000 - header.stamp.nanosec) / 1e9
    return round(age_s * 1e3, 1) if abs(age_s) < _OTHER_CLOCK_S else None


def numbers(values: Any, decimals: int) -> list[float | None]:
    """Return finite numbers, rounded; None for others."""
    array = np.asarray(values, float)
    rounded: list[float | None] = array.round(decimals).tolist()
    return [value if ok else None for value, ok in zip(rounded, np.isfinite(array).tolist(), strict=True)]
