# SPDX-License-Identifier: Apache-2.0
"""Estimators: one plugin, one file."""
