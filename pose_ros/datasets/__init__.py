# SPDX-License-Identifier: Apache-2.0
"""Labelled data of others, read as their authors hand them out: lazily, and one :class:`Sample` for each image."""

from pose_ros.datasets.base import Dataset, DatasetCard, Sample
from pose_ros.datasets.catalogue import get, names, open

__all__ = ["Dataset", "DatasetCard", "Sample", "get", "names", "open"]
