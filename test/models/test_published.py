# SPDX-License-Identifier: Apache-2.0
"""What authors publish about a file: a whole SHA-256, its first digits, that of a zip around it, or nothing."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace

import pytest
from model_server import CONTENT, network

from pose_ros.errors import CardError, ModelCorruptError, ModelMissingError
from pose_ros.models.files import first_seen, part_of
from pose_ros.models.store import Store

_DIGEST = hashlib.sha256(CONTENT).hexdigest()
_NEW = network(b"a newer one" * 20)


def _zip(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/") + ".onnx", content)
    return file.getvalue()


@pytest.fixture
def zipped(server, make_card):
    """A card of a network in a zip, of which nothing is published."""
    server.content = _zip(deploy__end2end=CONTENT, other=_NEW)
    url = server.url.replace("net.onnx", "a-20230831.zip?download=1")
    return make_card(url=url, sha256="", member="end2end.onnx")


def test_first_digits_are_enough(store, server, make_card):
    card = make_card(url=server.url, sha256=_DIGEST[:8])
    assert store.fetch(card).read_bytes() == CONTENT
    assert not first_seen(store.place(card))
    store.place(card).write_bytes(_NEW)
    with pytest.raises(ModelCorruptError, match=f"expected a file with SHA-256 {_DIGEST[:8]} at .* was cut off or"):
        store.path(card)
    wrong = make_card(url=server.url, sha256="0" * 8)
    with pytest.raises(ModelCorruptError, match=f"expected a file with SHA-256 00000000 from .*, got {_DIGEST} "):
        store.fetch(wrong)
    assert store.state(wrong) == "missing"


def test_what_came_first_is_remembered(store, server, make_card, caplog):
    card = make_card(url=server.url, sha256="")
    place = store.fetch(card)
    assert f"'net': its authors publish no SHA-256, so that the first file is believed; remembered: {_DIGEST}" in \
        caplog.text
    assert (place.parent / f"{place.name}.sha256").read_text() == f"{_DIGEST}  {place.name}\n"
    assert Store(store.folder).path(card) == place
    place.write_bytes(_NEW)
    with pytest.raises(ModelCorruptError, match=f"expected a file with SHA-256 {_DIGEST} at .*fetch --force net"):
        store.path(card)
    caplog.clear()
    assert store.fetch(card, force=True).read_bytes() == CONTENT
    assert not caplog.records


def test_another_file_in_its_place_is_refused_until_the_user_says_so(store, server, make_card, tmp_path):
    card = make_card(url=server.url, sha256="")
    place = store.fetch(card)
    server.content = _NEW
    (tmp_path / "new.onnx").write_bytes(_NEW)
    for source in (None, tmp_path / "new.onnx"):
        with pytest.raises(ModelCorruptError, match=rf"expected a file with SHA-256 {_DIGEST} from .* it was replaced "
                                                    rf"since; if its authors say so, delete {place}.sha256 and fetch"):
            store.fetch(card, force=True, source=source)
        assert store.path(card).read_bytes() == CONTENT
    (place.parent / f"{place.name}.sha256").unlink()
    with pytest.raises(ModelCorruptError, match=r"SHA-256 \(not remembered\)"):
        store.path(card)
    assert store.fetch(card, force=True).read_bytes() == _NEW


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>Too many requests</html>", CONTENT[:-5], b""],
                         ids=["page", "half", "empty"])
def test_what_is_no_network_is_not_kept(store, server, make_card, content):
    card = make_card(url=server.url, sha256="")
    server.content = content
    with pytest.raises(ModelCorruptError, match=r"'net': expected a whole .onnx file at .*, got .*fetch it again; to "
                                                r"bring it by hand, get http"):
        store.fetch(card)
    assert not [p for p in store.folder.iterdir() if not p.name.endswith(".lock")]
    server.content = CONTENT
    assert store.fetch(card).read_bytes() == CONTENT


def test_a_page_in_place_of_a_published_file_is_called_that(store, server, make_card):
    server.content = b"<!DOCTYPE html><html>Too many requests</html>"
    with pytest.raises(ModelCorruptError, match=rf"SHA-256 {_DIGEST} from .* a message of the server in place of a f"):
        store.fetch(make_card(url=server.url))


def test_halves_of_which_nothing_is_known_are_not_joined(store, server, make_card):
    card = make_card(url=server.url, sha256="")
    server.etag, server.cuts, server.cut_after = "", 1, 1000
    assert store.fetch(card).read_bytes() == CONTENT
    assert server.requests == [(None, None), (None, None)]
    server.requests.clear()
    server.etag, server.cuts = '"1"', 1
    store.fetch(card, force=True)
    assert server.requests == [(None, None), ("bytes=1000-", '"1"')]


def test_member_of_a_zip(store, server, zipped):
    place = store.fetch(zipped)
    assert place.read_bytes() == CONTENT
    assert place.name.startswith("a-20230831-")
    assert place.suffix == ".onnx"
    assert not part_of(place).exists()
    assert store.state(replace(zipped, file=replace(zipped.file, member="other.onnx"))) == "missing"
    assert first_seen(place) == _DIGEST


def test_member_of_a_tar(store, server, make_card, tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name, content in (("_DATA/other.onnx", _NEW), ("_DATA/deep/net.onnx", CONTENT)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    server.content = (tmp_path / "a.tar.gz").read_bytes()
    card = make_card(url=server.url.replace("net.onnx", "a.tar.gz"), sha256="", size=0, member="_DATA/deep/net.onnx")
    assert store.fetch(card).read_bytes() == CONTENT
    (tmp_path / "carried.onnx").write_bytes(CONTENT)
    for name in ("a.tar.gz", "carried.onnx"):
        assert store.fetch(card, source=tmp_path / name, force=True).read_bytes() == CONTENT
    (tmp_path / "half.tar.gz").write_bytes(server.content[:-200])
    with pytest.raises(ModelCorruptError, match=r"cannot unpack .*half\.tar\.gz: .*; get that file again"):
        store.fetch(card, source=tmp_path / "half.tar.gz", force=True)


def test_zip_whose_digest_is_published(store, server, zipped):
    digest = hashlib.sha256(server.content).hexdigest()
    card = replace(zipped, file=replace(zipped.file, sha256=digest[:8]))
    assert store.fetch(card).read_bytes() == CONTENT
    server.content = _zip(deploy__end2end=CONTENT)
    with pytest.raises(ModelCorruptError, match=rf"SHA-256 {digest[:8]} from .*it was changed there or on the way"):
        store.fetch(card, force=True)
    assert store.path(card).read_bytes() == CONTENT


@pytest.mark.parametrize(("content", "message"), [
    (_zip(a__end2end=CONTENT, b__end2end=_NEW),
     "expected one 'end2end.onnx' in the zip from .*, got 2 among a/end2end.onnx, b/end2end.onnx; mend the card's"),
    (_zip(end3end=CONTENT), "expected one 'end2end.onnx' in the zip from .*, got 0 among end3end.onnx"),
    (_zip(end2end=CONTENT)[:-100], "cannot unpack http.*: File is not a zip file; get that file again"),
    (_zip(end2end=CONTENT[:-1]), "expected a whole .onnx file at"),
], ids=["two", "none", "half", "half inside"])  # fmt: skip
def test_zip_that_does_not_fit(store, server, zipped, content, message):
    server.content = content
    with pytest.raises(ModelCorruptError, match=message):
        store.fetch(zipped)
    assert store.state(zipped) == "missing"


def test_by_hand(store, server, zipped, make_card, tmp_path):
    (tmp_path / "carried.zip").write_bytes(server.content)
    (tmp_path / "carried.onnx").write_bytes(CONTENT)
    offline = Store(store.folder, offline=True)
    with pytest.raises(ModelMissingError, match=r"to bring it by hand, get http://\S+ on another machine and run: "):
        offline.fetch(zipped)
    for name in ("carried.zip", "carried.onnx"):
        assert offline.fetch(zipped, source=tmp_path / name, force=True).read_bytes() == CONTENT
    bare = make_card("bare", url="https://example.org/b.onnx", sha256="")
    assert offline.fetch(bare, source=tmp_path / "carried.onnx").read_bytes() == CONTENT
    digest = hashlib.sha256(server.content).hexdigest()
    strict = replace(zipped, file=replace(zipped.file, sha256=digest))
    with pytest.raises(ModelCorruptError, match=f"expected a file with SHA-256 {digest} from .*carried.onnx"):
        offline.fetch(strict, source=tmp_path / "carried.onnx")
    assert offline.fetch(strict, source=tmp_path / "carried.zip").read_bytes() == CONTENT


def test_files_of_one_name_do_not_collide(store, make_card):
    places = {
        store.place(make_card(url=f"https://{host}/{version}/model.onnx", sha256=digest))
        for host in ("a.org", "b.org") for version in (1, 2) for digest in ("", "1234567")
    } | {
        store.place(make_card(url="https://a.org/x.zip", sha256=digest, member=f"{folder}/end2end.onnx"))
        for folder in "ab" for digest in ("", _DIGEST)
    }  # fmt: skip
    assert len(places) == 12


def test_a_new_file_of_no_use_is_dropped_where_nothing_says_that_it_is_the_right_one(store, server, make_card):
    card, known = make_card(url=server.url, sha256=""), make_card(url=server.url)
    for each in (card, known):
        store.fetch(each)
        Store(store.folder).drop(each)
        assert store.state(each) == "ready", "it came long ago"
        store.drop(each)
    assert (store.state(card), store.state(known)) == ("missing", "ready")
    assert not first_seen(store.place(card))


def test_a_zip_needs_a_member(make_card):
    with pytest.raises(CardError, match=r"file: expected one that ends in .onnx .tflite .*, got '.zip'; name the memb"):
        make_card(url="https://example.org/net.zip")


def test_state_without_hashing(store, server, make_card, monkeypatch):
    card = make_card(url=server.url)
    assert store.state(card, hashed=False) == "missing"
    store.fetch(card)
    monkeypatch.setattr("pose_ros.models.store.sha256", lambda path: pytest.fail("hashed"))
    assert Store(store.folder).state(card, hashed=False) == "ready"
