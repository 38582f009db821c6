# SPDX-License-Identifier: Apache-2.0
"""Plugins that say from 2D keypoints over time how a body stands in space."""
