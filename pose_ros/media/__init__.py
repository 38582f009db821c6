# SPDX-License-Identifier: Apache-2.0
"""Images in and pictures out: sources of frames, drawing, videos, plots. Nothing here knows ROS."""
