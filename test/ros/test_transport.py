# SPDX-License-Identifier: Apache-2.0
"""Shared memory is made large enough, and never against the user."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pose_ros.ros import transport

VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE", "FASTDDS_BUILTIN_TRANSPORTS")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    monkeypatch.chdir(tmp_path)


def test_profile_is_used_and_makes_room() -> None:
    assert transport.make_room_for_images()
    path = os.environ["FASTRTPS_DEFAULT_PROFILES_FILE"]
    assert path == os.environ["FASTDDS_DEFAULT_PROFILES_FILE"]
    sizes = [int(e.text or 0) for e in ElementTree.parse(path).iter() if e.tag.endswith("segment_size")]
    assert sizes == [s for s in sizes if s >= 4 * 1920 * 1080 * 3]
    assert sizes


@pytest.mark.parametrize("name", VARIABLES)
def test_the_users_settings_stay(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "mine")
    before = dict(os.environ)
    assert not transport.make_room_for_images()
    assert dict(os.environ) == before


def test_a_profile_in_the_working_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "DEFAULT_FASTDDS_PROFILES.xml").write_text("<dds/>")
    assert not transport.make_room_for_images()
