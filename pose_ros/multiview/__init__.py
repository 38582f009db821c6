# SPDX-License-Identifier: Apache-2.0
"""Several calibrated cameras: who is who in them, where the keypoints are in metres, and where the cameras stand."""
