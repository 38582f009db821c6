# SPDX-License-Identifier: Apache-2.0
"""Architectures in PyTorch, for the checkpoints of their authors: one architecture, one file.

Only these modules and ``runtime.torch_session`` import torch; :mod:`pose_ros.networks.catalogue` loads them by name
when a checkpoint is opened, exported or measured.
"""
