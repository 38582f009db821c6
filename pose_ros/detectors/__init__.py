# SPDX-License-Identifier: Apache-2.0
"""Detectors: one plugin, one file."""
