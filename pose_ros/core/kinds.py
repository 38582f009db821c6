# SPDX-License-Identifier: Apache-2.0
"""Parts of subjects that a pipeline can look at, and what one of them is called."""

from __future__ import annotations

#: Name of a kind of parts, as in topics and parameters -> one of them, as in TF frames and pictures.
PARTS = {"hands": "hand", "faces": "face"}
