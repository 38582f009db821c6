# SPDX-License-Identifier: Apache-2.0
"""What was seen of subjects over time, as files that other programs measure with."""
