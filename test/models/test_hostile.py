# SPDX-License-Identifier: Apache-2.0
"""Cards, archives and servers of people who mean harm: nothing is written elsewhere, run, or grows without end."""

from __future__ import annotations

import io
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from model_server import CONTENT

from pose_ros import formats
from pose_ros.errors import CardError, ModelCorruptError, ModelMissingError
from pose_ros.models import cards, download

_OUTSIDE = ["../../escaped.onnx", "/tmp/pose_ros_escaped.onnx", "a/../../../escaped.onnx", "C:\\escaped.onnx"]


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def _tar(path: Path, *members: tarfile.TarInfo, content: bytes = b"") -> Path:
    with tarfile.open(path, "w:gz") as file:
        for member in members:
            file.addfile(member, io.BytesIO(content) if member.isfile() else None)
    return path


def _entry(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = size, kind, target
    return info


def _files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"}


@pytest.mark.parametrize("name", _OUTSIDE)
def test_names_that_lead_out_of_the_folder_are_only_names(store, make_card, tmp_path, name):
    before, card = _files(tmp_path), make_card(url="https://example.org/net.onnx")
    source = _zip(tmp_path / "bundle", {name: CONTENT})
    place = store.fetch(card, source=source)
    assert place.parent == store.folder
    assert place.read_bytes() == CONTENT
    source = _tar(tmp_path / "bundle", _entry(name, len(CONTENT)), content=CONTENT)
    assert store.fetch(card, source=source, force=True) == place
    assert _files(tmp_path) - before == {"bundle", str(place.relative_to(tmp_path))}
    assert not Path("/tmp/pose_ros_escaped.onnx").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_what_is_no_file_in_a_tar_is_not_there(store, make_card, tmp_path, kind):
    (tmp_path / "secret").write_bytes(CONTENT)
    source = _tar(tmp_path / "bundle", _entry("net.onnx", 0, kind, str(tmp_path / "secret")))
    with pytest.raises(ModelCorruptError, match="expected a file with SHA-256"):
        store.fetch(make_card(url="https://example.org/net.onnx"), source=source)


@pytest.mark.parametrize("write", ["zip", "tar"])
@pytest.mark.parametrize("known", [True, False])
def test_what_unpacks_to_far_more_than_it_is_stays_packed(store, make_card, tmp_path, write, known):
    bomb = bytes(100 << 20)
    source = _zip(tmp_path / "bomb", {"net.onnx": bomb}) if write == "zip" else _tar(
        tmp_path / "bomb", _entry("net.onnx", len(bomb)), content=bomb)
    file = {} if known else {"sha256": "", "size": 0, "member": "net.onnx"}
    with pytest.raises(ModelCorruptError, match=r"which hardly shrink.*unpack to 104857600 and more; none was"):
        store.fetch(make_card(url="https://example.org/net.zip" if file else "https://example.org/net.onnx", **file),
                    source=source)
    assert not _files(store.folder)


def test_a_checkpoint_that_is_a_zip_bomb_is_not_unpacked(tmp_path):
    path = _zip(tmp_path / "net.pth", {"archive/data.pkl": bytes(20 << 20)})
    with pytest.raises(ModelCorruptError, match="unpack to 20971520, which no checkpoint does"):
        formats.check(path)


def test_a_list_of_tensors_that_nests_without_end_is_damage(tmp_path):
    header = b'{"a":' + b"[" * 200_000
    (tmp_path / "net.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelCorruptError, match="cut off or damaged"):
        formats.check(tmp_path / "net.safetensors")


@pytest.mark.parametrize("url", ["file:///etc/passwd.onnx", "ftp://example.org/net.onnx", "/etc/net.onnx",
                                 "data:application/octet-stream,x.onnx", "FILE:///etc/net.onnx"])
def test_addresses_are_of_the_web(make_card, url):
    with pytest.raises(CardError, match=r"file\.url: expected an address that begins with https:// or http://"):
        make_card(url=url)


@pytest.mark.parametrize("wheel", [
    "net @ git+https://example.org/net", "--index-url=https://example.org net==1.0", "net==1.0\n-e .", "-r other.txt",
    "net==1.0 --global-option=x", "./net.whl", "net>=1.0", "net==1.0 --hash=sha256:12",
])  # fmt: skip
def test_pip_is_told_a_version_and_no_more(make_card, wheel):
    with pytest.raises(CardError, match=r"file\.wheel: expected name==version"):
        make_card(wheel=wheel, member="net.onnx")


def test_a_card_that_repeats_itself_without_end(tmp_path):
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    (tmp_path / "net.yaml").write_text("\n".join([*lines, "kind: *a9"]))
    with pytest.raises(CardError, match="once its aliases are followed"):
        cards.read(tmp_path / "net.yaml", "net")


@pytest.fixture
def redirect():
    """Makes a server that sends on to an address, and gives its own address."""
    running = []

    def make(target: str) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(302)
                self.send_header("Location", target)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        http = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        running.append((http, thread))
        return f"http://127.0.0.1:{http.server_port}/net.onnx"

    yield make
    for http, thread in running:
        http.shutdown()
        thread.join()
        http.server_close()


def test_a_server_may_send_on_to_another_one(store, make_card, server, redirect):
    assert store.fetch(make_card(url=redirect(server.url))).read_bytes() == CONTENT


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/net.onnx"])
def test_a_server_may_not_send_on_to_files(store, make_card, redirect, target):
    with pytest.raises(ModelMissingError, match=f"{target}.*(which is less safe|is not allowed)"):
        store.fetch(make_card(url=redirect(target)))
    assert not _files(store.folder)


def test_an_encrypted_download_stays_encrypted():
    ask = download.urllib.request.Request("https://example.org/net.onnx")
    follow = download._Redirects().redirect_request
    with pytest.raises(download._Cut, match="less safe"):
        follow(ask, io.BytesIO(), 302, "Found", {}, "http://example.org/net.onnx")
    assert follow(ask, io.BytesIO(), 302, "Found", {}, "https://cdn.example.org/net.onnx") is not None


def test_a_file_of_no_known_size_ends_somewhere(store, make_card, server, monkeypatch):
    monkeypatch.setattr(download, "_MOST", 1 << 17)
    with pytest.raises(ModelCorruptError, match=r"got [0-9a-f]{64} \(196608 bytes\)"):
        store.fetch(make_card(url=server.url, size=0))
    assert not _files(store.folder)
