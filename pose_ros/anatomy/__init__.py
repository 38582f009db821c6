# SPDX-License-Identifier: Apache-2.0
"""What the keypoints of bodies, hands and faces say together: frames, angles, measures, lengths of limbs, size."""
