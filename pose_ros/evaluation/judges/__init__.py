# SPDX-License-Identifier: Apache-2.0
"""Judges, one file for each kind of protocol: how a model is asked, and how its answers are counted."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from pose_ros.evaluation.judges.base import Judge

__all__ = ["Judge", "get"]

#: Kind -> class in the module of that name.
_CLASSES = {
    "boxes": "Boxes", "lifted": "Lifted", "nme": "Nme", "precision": "Precision", "share": "Share", "space": "Space",
    "tracks": "TracksOfVideos", "views": "Views",
}


@cache
def get(kind: str) -> Judge:
    """Return the judge of a kind of protocol."""
    found: Judge = getattr(import_module(f"pose_ros.evaluation.judges.{kind}"), _CLASSES[kind])()
    return found
