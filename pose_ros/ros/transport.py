# SPDX-License-Identifier: Apache-2.0
"""Transport: let images travel through shared memory."""

from __future__ import annotations

import os
from pathlib import Path

#: What a user says about Fast DDS, in the words of its versions 2 and 3.
_VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")
_LOCAL_PROFILES = "DEFAULT_FASTDDS_PROFILES.xml", "DEFAULT_FASTRTPS_PROFILES.xml"


def make_room_for_images() -> bool:
    """Give Fast DDS a shared memory that holds images, unless the user has configured it; before any context starts.

    The sender's setting counts. Other middlewares are not concerned: they do not read these variables.

    Returns:
        Whether our profile is in use.
    """
    if any(os.environ.get(name) for name in _VARIABLES) or any(Path(name).exists() for name in _LOCAL_PROFILES):
        return False
    for name in _VARIABLES[:2]:
        os.environ[name] = str(Path(__file__).with_name("fastdds.xml"))
    return True
