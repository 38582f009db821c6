# SPDX-License-Identifier: Apache-2.0
"""Skeletons as data: one YAML file each, the source cited in it."""
