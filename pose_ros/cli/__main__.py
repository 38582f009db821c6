# SPDX-License-Identifier: Apache-2.0
"""``python -m pose_ros.cli``, where the console script is not on the path."""

import sys

from pose_ros.cli.main import main

sys.exit(main())
