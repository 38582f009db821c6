# SPDX-License-Identifier: Apache-2.0
"""Subjects over time: who is who, and how what they do is filtered. Time comes from stamps."""
