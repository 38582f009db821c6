# SPDX-License-Identifier: Apache-2.0
"""The store gives out the file that the card names, or says why not."""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
from model_server import CONTENT

from pose_ros.errors import LicenceError, ModelCorruptError, ModelMissingError
from pose_ros.models.card import Licence
from pose_ros.models.store import Store


def test_missing_file_names_the_command(store, make_card):
    card = make_card(url="http://127.0.0.1:1/net.onnx")
    with pytest.raises(ModelMissingError, match=r"'net': expected its file at .*, found none; fetch it with: "
                                                r"pose-ros models fetch net$"):
        store.path(card)
    assert not store.folder.exists()


@pytest.mark.parametrize("damage", [CONTENT[:-1], b"", b"?" + CONTENT[1:]], ids=["truncated", "empty", "tampered"])
def test_file_that_is_not_the_one(store, server, make_card, damage):
    card = make_card(url=server.url)
    store.fetch(card).write_bytes(damage)
    assert store.state(card) == "corrupt"
    for use in (store.path, store.verify, store.fetch):
        with pytest.raises(ModelCorruptError, match=rf"expected a file with SHA-256 {card.file.sha256} at .*, got "
                                                    rf"[0-9a-f]{{64}} \({len(damage)} bytes\): it was cut off or "
                                                    r"changed; fetch it again with: pose-ros models fetch --force net"):
            use(card)
    assert len(server.requests) == 1


def test_tampering_that_keeps_size_and_time_is_seen_by_verify_and_by_the_next_process(store, server, make_card):
    card = make_card(url=server.url)
    path = store.fetch(card)
    stat = path.stat()
    path.write_bytes(b"?" + CONTENT[1:])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    with pytest.raises(ModelCorruptError):
        Store(store.folder).path(card)
    with pytest.raises(ModelCorruptError):
        store.verify(card)


def test_a_file_is_hashed_once(store, server, make_card, monkeypatch):
    card = make_card(url=server.url)
    store.fetch(card)
    monkeypatch.setattr("pose_ros.models.store.sha256", lambda path: pytest.fail("hashed again"))
    assert store.path(card) == store.path(card)


def test_offline_never_touches_the_network(tmp_path, server, make_card, monkeypatch):
    monkeypatch.setenv("POSE_ROS_OFFLINE", "1")
    card = make_card(url=server.url)
    store = Store(tmp_path)
    with pytest.raises(ModelMissingError, match="POSE_ROS_OFFLINE forbids to fetch it; to bring it by hand, get "):
        store.fetch(card)
    assert server.requests == []
    own = tmp_path / "from-a-stick.onnx"
    own.write_bytes(CONTENT)
    assert store.fetch(card, source=own).read_bytes() == CONTENT
    monkeypatch.setenv("POSE_ROS_OFFLINE", "0")
    assert not Store(tmp_path).offline


@pytest.mark.parametrize("licence", [Licence("unknown", source="https://x.org"), Licence("CC-BY-NC-4.0", "H36M", True)])
def test_licence_has_to_be_accepted_by_name(store, server, make_card, licence, monkeypatch):
    card = make_card(url=server.url, licence=licence)
    with pytest.raises(LicenceError, match=rf"accept its licence \(weights: {licence.weights}.*set "
                                           r"POSE_ROS_ACCEPT_LICENCES=net, or run: pose-ros models fetch net "
                                           r"--accept-licence net"):
        store.fetch(card)
    with pytest.raises(LicenceError):
        Store(store.folder, accept_licences=["other"]).fetch(card)
    assert server.requests == []
    monkeypatch.setenv("POSE_ROS_ACCEPT_LICENCES", "other, net")
    assert Store(store.folder).fetch(card).exists()
    monkeypatch.delenv("POSE_ROS_ACCEPT_LICENCES")
    # It was accepted on this machine; what is here may be used.
    assert Store(store.folder).path(card).exists()


def test_licence_is_shown_before_the_first_use(store, server, make_card, caplog):
    with caplog.at_level(logging.INFO):
        store.fetch(make_card(url=server.url, licence=Licence("Apache-2.0", "COCO", source="https://x.org/LICENSE")))
    assert "model 'net': licence of the weights: Apache-2.0; trained on: COCO; see https://x.org/LICENSE" in caplog.text


def test_cache_folder_that_cannot_be_made(tmp_path, server, make_card):
    (tmp_path / "cache").write_text("a file in the way")
    folder = tmp_path / "cache" / "models"
    with pytest.raises(ModelMissingError, match=rf"cannot write to the cache folder {folder}: .*; make it a writable "
                                                r"folder, or set POSE_ROS_CACHE to another one"):
        Store(folder).fetch(make_card(url=server.url))


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "free some"), (errno.EDQUOT, "free some"), (errno.EROFS, "make it a"), (errno.EACCES, "make it a")],
)
def test_cache_folder_that_is_full_or_read_only(store, server, make_card, monkeypatch, number, advice):
    """Root may write anywhere, so the system's answer is played."""
    real = Path.open

    def refuse(self, mode="r", *arguments, **options):
        if self.suffix == ".part" and "r" not in mode:
            raise OSError(number, os.strerror(number), str(self))
        return real(self, mode, *arguments, **options)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ModelMissingError, match=rf"cannot write to the cache folder {store.folder}: "
                                                rf"{os.strerror(number)}; {advice}.*POSE_ROS_CACHE"):
        store.fetch(make_card(url=server.url))


def test_disk_that_is_full_half_way(store, server, make_card, monkeypatch):
    card = make_card(url=server.url)
    store.folder.mkdir(parents=True)
    (store.folder / (store.place(card).name + ".part")).symlink_to("/dev/full")
    with pytest.raises(ModelMissingError, match="No space left on device; free some space"):
        store.fetch(card)


def test_file_beside_the_card(store, tmp_path, make_card):
    (tmp_path / "own.onnx").write_bytes(CONTENT)
    card = replace(make_card(path="own.onnx"), folder=tmp_path)
    assert store.path(card) == store.fetch(card) == tmp_path / "own.onnx"
    unchecked = replace(make_card(path="own.onnx", sha256=""), folder=tmp_path)
    assert store.fetch(unchecked) == tmp_path / "own.onnx"
    (tmp_path / "own.onnx").write_bytes(b"other")
    with pytest.raises(ModelCorruptError, match=r"mend .*net.yaml"):
        store.path(card)
    assert store.path(unchecked) == tmp_path / "own.onnx"
    (tmp_path / "own.onnx").unlink()
    for missing in (card, unchecked):
        with pytest.raises(ModelMissingError, match=r"at .*own.onnx, found none; its card names that file"):
            store.fetch(missing)


def test_folder_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("POSE_ROS_CACHE", str(tmp_path))
    assert Store().folder == tmp_path / "models"
    monkeypatch.delenv("POSE_ROS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert Store().folder == Path("/somewhere/pose_ros/models")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert Store().folder == Path.home() / ".cache/pose_ros/models"


def test_names_by_kind(store):
    assert {"blazepose-full", "simplepose-ultralight"} <= set(store.names("estimator"))
    assert {"mediapipe-pose-detection", "yolox-nano"} <= set(store.names("detector"))
    assert "martinez-h36m" in store.names("lifter")
    assert {"gesture-sign", "stgcn-ntu60-2d-joint"} <= set(store.names("recogniser"))
    kinds = [name for kind in ("detector", "estimator", "lifter", "recogniser") for name in store.names(kind)]
    assert sorted(kinds) == store.names()
