# SPDX-License-Identifier: Apache-2.0
"""Let tests import what the recording scripts share."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "data/networks"))
