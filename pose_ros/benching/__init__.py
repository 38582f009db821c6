# SPDX-License-Identifier: Apache-2.0
"""Measure what this package costs: stages, processes, documents of figures and their comparison. Knows no ROS."""
