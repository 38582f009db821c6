# SPDX-License-Identifier: Apache-2.0
"""Files come out of wheels, source archives and zips, known by their SHA-256; nothing is installed."""

from __future__ import annotations

import hashlib
import importlib.util
import io
import sys
import tarfile
import zipfile
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from model_server import CONTENT, network

from pose_ros.errors import ModelCorruptError, ModelMissingError
from pose_ros.models import archive
from pose_ros.models.card import Licence
from pose_ros.models.store import Store

_OTHER = network(b"another network" * 100)


def _wheel(folder: Path, **members: bytes) -> Path:
    """Write the wheel ``tiny-nets 1.0`` as pip wants it."""
    path = folder / "tiny_nets-1.0-py3-none-any.whl"
    info = "tiny_nets-1.0.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"tiny_nets/{name}.onnx", content)
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-nets\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def two(make_card, monkeypatch):
    """The cards of two networks in one wheel, both known to the store."""
    pair = [
        make_card("net", wheel="tiny-nets==1.0", member="tiny_nets/net.onnx"),
        make_card("other", wheel="tiny-nets==1.0", member="tiny_nets/other.onnx", content=_OTHER),
    ]
    monkeypatch.setattr(Store, "cards", lambda self: iter(pair))
    return pair


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip takes packages from, and nothing else."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("this Python has no pip")
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_all_models_of_a_wheel_come_at_once(store, two, index):
    _wheel(index, net=CONTENT, other=_OTHER)
    assert store.fetch(two[0]).read_bytes() == CONTENT
    assert store.path(two[1]).read_bytes() == _OTHER
    assert importlib.util.find_spec("tiny_nets") is None
    assert sorted(p.name for p in store.folder.iterdir() if not p.name.endswith(".lock")) == \
        sorted(store.place(card).name for card in two)


def test_progress_of_pip(store, two, index, monkeypatch):
    wheel, seen = _wheel(index, net=CONTENT, other=_OTHER), []
    fake = index / "pip"
    fake.write_text("#!/bin/sh\necho 'Looking in links'\necho 'Progress 5 of 10'\necho 'Progress 10 of 10'\n"
                    f"for last; do [ \"$before\" = --dest ] && cp {wheel} \"$last\"; before=$last; done\n")
    fake.chmod(0o755)
    monkeypatch.setattr(archive, "_pip", lambda: [str(fake), "download"])
    store.fetch(two[0], lambda done, total: seen.append((done, total)))
    assert seen == [(5, 10), (10, 10)]


@pytest.mark.parametrize(("version", "option"), [("23.2.1", []), ("24.1", ["--progress-bar=raw"]),
                                                 ("26.3.dev0", ["--progress-bar=raw"])])
def test_progress_is_asked_of_a_pip_that_knows_it(monkeypatch, version, option):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(metadata, "version", lambda name: version)
    assert archive._pip() == [sys.executable, "-m", "pip", "download", *option]


def test_tampered_wheel(store, two, index):
    _wheel(index, net=b"?" + CONTENT[1:], other=_OTHER)
    with pytest.raises(ModelCorruptError, match=rf"expected a file with SHA-256 {two[0].file.sha256} in .*tiny_nets"
                                                r".* got tiny_nets/net.onnx with [0-9a-f]{64}, tiny_nets/other"):
        store.fetch(two[0])
    assert store.state(two[0]) == "missing"


def test_wheel_that_does_not_exist(store, two, index):
    with pytest.raises(ModelMissingError, match=r"cannot get the wheel tiny-nets==1.0; pip says: .*No matching "
                                                r"distribution.*to bring it by hand, get 'tiny_nets/net.onnx' of the "
                                                r"wheel tiny-nets==1.0 from PyPI"):
        store.fetch(two[0])
    assert not list(store.folder.glob(".wheel*"))


def test_python_without_pip(store, two, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ModelMissingError, match=r"needs pip, and .* has none: .* -m ensurepip; or to bring it by hand"):
        store.fetch(two[0])


def test_by_hand_from_a_wheel(store, two, tmp_path):
    wheel = _wheel(tmp_path, net=CONTENT, other=_OTHER)
    assert store.fetch(two[1], source=wheel).read_bytes() == _OTHER
    assert store.path(two[0]).read_bytes() == CONTENT


def test_only_what_belongs_to_the_wheel_and_may_be_used_comes_along(store, two, tmp_path):
    wheel, other = _wheel(tmp_path, net=CONTENT, other=_OTHER), two[1]
    two[1] = replace(other, licence=Licence("unknown"))
    store.fetch(two[0], source=wheel)
    assert store.state(two[1]) == "missing"
    two[1] = replace(other, file=replace(other.file, wheel="other==2.0"))
    store.fetch(two[0], source=wheel, force=True)
    assert store.state(two[1]) == "missing"
    two[1] = other
    store.fetch(two[0], source=wheel, force=True)
    assert store.state(two[1]) == "ready"


def test_by_hand_from_a_zip_with_other_names(store, two, tmp_path):
    with zipfile.ZipFile(tmp_path / "bundle.task", "w") as file:
        file.writestr("deep/inside/renamed.onnx", CONTENT)
        file.writestr("readme.txt", "x")
    assert store.fetch(two[0], source=tmp_path / "bundle.task").read_bytes() == CONTENT
    assert store.state(two[1]) == "missing"


def test_by_hand_from_the_file_itself(store, two, tmp_path):
    (tmp_path / "whatever").write_bytes(CONTENT)
    assert store.fetch(two[0], source=tmp_path / "whatever").read_bytes() == CONTENT
    with pytest.raises(ModelCorruptError, match=r"got whatever with [0-9a-f]{64}"):
        store.fetch(two[1], source=tmp_path / "whatever")


def test_by_hand_from_what_is_not_there(store, two, tmp_path):
    with pytest.raises(ModelMissingError, match=r"cannot read .*nowhere: No such file"):
        store.fetch(two[0], source=tmp_path / "nowhere")


def test_damaged_zip(store, two, tmp_path):
    wheel = _wheel(tmp_path, net=CONTENT, other=_OTHER)
    data = bytearray(wheel.read_bytes())
    data[100:140] = bytes(40)
    wheel.write_bytes(data)
    with pytest.raises(ModelCorruptError, match=r"cannot unpack .*tiny_nets-1.0.*get that file again"):
        store.fetch(two[0], source=wheel)


def _source(folder: Path, **members: bytes) -> Path:
    """Write the source archive ``tiny-nets 1.0``; what pip runs of it leaves a mark."""
    path = folder / "tiny_nets-1.0.tar.gz"
    content = {f"tiny_nets/{name}.onnx": data for name, data in members.items()}
    content["setup.py"] = f"open({str(folder / 'ran')!r}, 'w')\nimport setuptools\nsetuptools.setup()\n".encode()
    with tarfile.open(path, "w:gz") as file:
        for name, data in content.items():
            info = tarfile.TarInfo(f"tiny_nets-1.0/{name}")
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return path


@pytest.fixture
def source(store, two, tmp_path):
    """A source archive and the cards that name it."""
    path = _source(tmp_path, net=CONTENT, other=_OTHER)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    two[:] = [replace(card, file=replace(card.file, wheel=f"tiny-nets==1.0 --hash=sha256:{digest}")) for card in two]
    return path


def test_a_source_archive_comes_with_its_hash(store, two, source, tmp_path, monkeypatch):
    fake = tmp_path / "pip"
    fake.write_text(f"#!/bin/sh\necho \"$@\" > {tmp_path}/said\n"
                    f"for last; do [ \"$before\" = --dest ] && cp {source} \"$last\"\n"
                    f"[ \"$before\" = --requirement ] && cat \"$last\" >> {tmp_path}/said; before=$last; done\n")
    fake.chmod(0o755)
    monkeypatch.setattr(archive, "_pip", lambda: [str(fake), "download"])
    assert store.fetch(two[0]).read_bytes() == CONTENT
    assert store.path(two[1]).read_bytes() == _OTHER
    said = (tmp_path / "said").read_text()
    assert two[0].file.wheel in said
    assert "--only-binary" not in said


def test_another_source_archive_is_not_run(store, two, source, index):
    source.write_bytes(_source(index, net=b"?" + CONTENT[1:], other=_OTHER).read_bytes())
    with pytest.raises(ModelMissingError, match=r"cannot get the wheel tiny-nets==1\.0 --hash=sha256"):
        store.fetch(two[0])
    assert not (index / "ran").exists()
    assert not list(store.folder.glob(".wheel*"))


def test_by_hand_from_a_source_archive(store, two, source):
    assert store.fetch(two[1], source=source).read_bytes() == _OTHER
    assert store.path(two[0]).read_bytes() == CONTENT


def test_a_damaged_source_archive(store, two, source):
    source.write_bytes(source.read_bytes()[:-200])
    with pytest.raises(ModelCorruptError, match=r"cannot unpack|expected a file with SHA-256"):
        store.fetch(two[0], source=source)
