# SPDX-License-Identifier: Apache-2.0
"""Let tests import what the recording scripts share."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "data/networks"))


def pytest_terminal_summary(terminalreporter, config):  # type: ignore[no-untyped-def]
    """With -v, print the largest difference between each network and its reference."""
    from replay import DIFFERENCES

    if not DIFFERENCES or config.get_verbosity() < 1:
        return
    found: dict[tuple[str, str], dict[int, float]] = {}
    for (test, case, n, _), value in DIFFERENCES.items():
        how = "onnx" if "onnx" in test or "export" in test else "torch"
        batches = found.setdefault((case, how), {})
        batches[n] = max(batches.get(n, 0), value)
    terminalreporter.section("largest difference from the reference, relative to its largest output")
    for (case, how), batches in sorted(found.items()):
        values = ", ".join(f"batch {n}: {value:.1e}" for n, value in sorted(batches.items()))
        terminalreporter.write_line(f"{case:40} {how:6} {values}")
