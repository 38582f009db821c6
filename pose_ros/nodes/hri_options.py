# SPDX-License-Identifier: Apache-2.0
"""Options of the node that speaks REP-155."""

from __future__ import annotations

from dataclasses import dataclass

from pose_ros.core.options import option


@dataclass(frozen=True)
class HriOptions:
    """Whom to tell of, and where."""

    plugin: str = option("hri_node", "Which node runs under this name.", choices=("hri_node",))
    skeletons_topic: str = option("pose/skeletons", "Bodies, of a pose_node or a multiview_node; 'skeleton_info' and "
                                  "'faces/skeletons' are expected beside it.")
    faces: bool = option(True, "Tell of the faces beside the bodies, too.")
    prefix: str = option("/humans", "Namespace of all topics. REP-155 wants the global /humans; two robots in one "
                         "domain need two, such as /robot1/humans.")
    tf_prefix: str = option("", "Put before every TF frame, such as 'robot1/'; REP-155 knows none.")
    publish_tf: bool = option(True, "Publish body_<id>, face_<id> and gaze_<id>, where metres are known.", live=True)
    link_frames: bool = option(True, "Publish the frames of limbs, such as l_wrist_<id>; off where a "
                               "robot_state_publisher for each body does that.", live=True)
    trunk_turns: bool = option(True, "Let trunks bend aside and turn, by two joints that REP-155 does not have; off "
                               "for consumers with a URDF of their own.", live=True)
    min_score: float = option(0.3, "Keypoints below it say nothing of joints.", low=0.0, high=1.0, live=True)
    cropped: bool = option(False, "Publish pictures of each body and face. Off, because pictures of people are "
                           "personal data; REP-155 lists them as required.")
    image_topic: str = option("image", "Images for cropped, those that the pose_node works on; a name that ends in "
                              "'/compressed' selects compressed ones.")
    face_size: int = option(128, "Width and height of cropped faces.", unit="px", low=16, high=1024, live=True)
    silence: float = option(2.0, "After so long without skeletons nobody is tracked any more; 0 never.", unit="s",
                            low=0.0, high=3600.0, live=True)
    exact: bool = option(
        False, "The same skeletons give the same bits, however fast they come: silence is that between stamps, and "
        "topics of people are kept for those who subscribe to them late.",
    )
    autostart: bool = option(True, "Configure and activate at start; otherwise a lifecycle manager does.")
    watchdog: float = option(3.0, "Say why, when no skeletons have come for this long; 0 never.", unit="s", low=0.0,
                             high=3600.0, live=True)
