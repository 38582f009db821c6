# SPDX-License-Identifier: Apache-2.0
"""Words and geometry. Nothing here knows ROS, a network or a file of weights.

Conventions, obeyed everywhere:

* Images are RGB, uint8, shape (H, W, 3). Sizes are ``(width, height)`` when named ``size_wh``.
* The centre of the first pixel is (0, 0): its area reaches from -0.5 to 0.5.
* Boxes are ``xyxy`` in pixels. Regions (rotated boxes) are ``cx, cy, width, height, angle`` in pixels and radians,
  positive angles turn x towards y (clockwise on the screen).
* Metres, radians, seconds; stamps are integer nanoseconds. Cameras are REP-103 optical frames: x right, y down,
  z forward. A transform ``T_target_source`` takes points of *source* to *target*.
* Missing is NaN. Low confidence is a score. N subjects in, N subjects out, in the same order.
"""
