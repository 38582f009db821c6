# SPDX-License-Identifier: Apache-2.0
"""Two people who stand side by side are two, and stay who they are."""

from __future__ import annotations

from itertools import islice

from pose_ros.media.sources import open_source
from pose_ros.wiring import build


def test_two_people_side_by_side(models, testdata):
    """One of them is hard for the detector and is found some frames later; neither is ever taken twice."""
    pipeline = build("blazepose-full", allow_fetch=False)
    with open_source(str(testdata / "video/mmaction2_demo_skeleton.mp4")) as source:
        ids = [pipeline(frame).poses.ids.tolist() for frame in islice(source, 45)]
    assert ids[0] == [1]
    assert ids[20:] == [[1, 2]] * 25
    assert all(seen in ([1], [1, 2]) for seen in ids)
