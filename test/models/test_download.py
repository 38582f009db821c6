# SPDX-License-Identifier: Apache-2.0
"""Downloads are resumed, tried again and checked; every failure says what to do."""

from __future__ import annotations

import logging
import multiprocessing
import re
import socket

import pytest
from model_server import CONTENT

from pose_ros.errors import ModelCorruptError, ModelMissingError
from pose_ros.models.files import part_of
from pose_ros.models.store import Store

_HALF = len(CONTENT) // 2


def test_download_and_progress(store, server, make_card):
    card, seen = make_card(url=server.url), []
    assert store.state(card) == "missing"
    path = store.fetch(card, lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert path.name == f"net-{card.file.sha256[:16]}.onnx"
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)
    assert len(seen) > 1
    assert store.state(card) == "ready"
    assert not list(store.folder.glob("*.part*"))
    store.fetch(card)
    assert len(server.requests) == 1


def test_connection_that_ends_early_is_resumed(store, server, make_card, caplog):
    card = make_card(url=server.url)
    server.cuts, server.cut_after = 2, 100_000
    assert store.fetch(card).read_bytes() == CONTENT
    assert server.requests == [(None, None), ("bytes=100000-", '"1"'), ("bytes=200000-", '"1"')]
    assert "the connection ended after 100000 of 262150 bytes" in caplog.text


def test_resume_in_another_process_after_giving_up(store, server, make_card):
    card = make_card(url=server.url)
    server.cuts, server.cut_after = 4, 1000
    with pytest.raises(ModelMissingError, match="the connection ended after 4000 of 262150 bytes"):
        store.fetch(card)
    assert store.state(card) == "partial"
    assert Store(store.folder).fetch(card).read_bytes() == CONTENT
    assert server.requests[-1] == ("bytes=4000-", '"1"')


@pytest.mark.parametrize("etag", ["", 'W/"1"'])
def test_resume_without_a_strong_mark(store, server, make_card, etag):
    server.etag, server.cuts, server.cut_after = etag, 1, _HALF
    assert store.fetch(make_card(url=server.url)).read_bytes() == CONTENT
    assert server.requests[1] == (f"bytes={_HALF}-", None)


def test_file_that_changed_on_the_server_is_not_glued_to_the_old_half(store, server, make_card):
    card = make_card(url=server.url)
    store.folder.mkdir(parents=True)
    part_of(store.place(card)).write_bytes(b"old" * 1000)
    part_of(store.place(card)).with_suffix(".part.etag").write_text('"0"')
    assert store.fetch(card).read_bytes() == CONTENT


def test_half_that_does_not_fit_is_thrown_away(store, server, make_card, caplog):
    card = make_card(url=server.url)
    store.folder.mkdir(parents=True)
    part_of(store.place(card)).write_bytes(b"x" * 1000)
    assert store.fetch(card).read_bytes() == CONTENT
    assert [r[0] for r in server.requests] == ["bytes=1000-", None]
    assert "starting over" in caplog.text


def test_part_that_is_complete_needs_no_byte(store, server, make_card):
    card = make_card(url=server.url)
    store.folder.mkdir(parents=True)
    part_of(store.place(card)).write_bytes(CONTENT)
    assert store.fetch(card).read_bytes() == CONTENT
    assert server.requests == [(f"bytes={len(CONTENT)}-", None)]


def test_server_that_ignores_ranges(store, server, make_card):
    server.ranges, server.cuts, server.cut_after = False, 1, _HALF
    assert store.fetch(make_card(url=server.url)).read_bytes() == CONTENT
    assert [r[0] for r in server.requests] == [None, f"bytes={_HALF}-"]


def test_wrong_content(store, server, make_card):
    card = make_card(url=server.url)
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(ModelCorruptError, match=rf"expected a file with SHA-256 {card.file.sha256} from {server.url}, "
                                                r"got [0-9a-f]{64} \(262150 bytes\): it was changed there or on "):
        store.fetch(card)
    assert store.state(card) == "missing"


def test_file_that_does_not_end_is_cut_off(store, server, make_card):
    card = make_card(url=server.url)
    server.content = CONTENT * 20
    with pytest.raises(ModelCorruptError, match=r"got [0-9a-f]{64} \((\d+) bytes\)") as caught:
        store.fetch(card)
    assert int(re.search(r"\((\d+) bytes", str(caught.value))[1]) < 2 * len(CONTENT)
    assert store.state(card) == "missing"


def test_file_that_is_not_there(store, server, make_card):
    server.statuses = [404]
    with pytest.raises(ModelMissingError, match=rf"cannot download {server.url}: the server says 404 Not Found; to "
                                                rf"bring it by hand, get {server.url} \(SHA-256 .*\) on another "
                                                r"machine and run: pose-ros models fetch net --from FILE"):
        store.fetch(make_card(url=server.url))
    assert len(server.requests) == 1


def test_server_that_is_busy_is_asked_again(store, server, make_card):
    server.statuses = [503, 429]
    assert store.fetch(make_card(url=server.url)).read_bytes() == CONTENT
    assert len(server.requests) == 3


def test_host_that_cannot_be_reached(store, make_card):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/net.onnx"
        with pytest.raises(ModelMissingError, match=rf"cannot download {url}: the server cannot be reached.*refused"):
            store.fetch(make_card(url=url))


def test_force_replaces_and_keeps_the_old_file_when_it_fails(store, server, make_card):
    card = make_card(url=server.url)
    store.fetch(card).write_bytes(b"tampered")
    server.statuses = [404]
    with pytest.raises(ModelMissingError):
        store.fetch(card, force=True)
    assert store.place(card).read_bytes() == b"tampered"
    assert store.fetch(card, force=True).read_bytes() == CONTENT
    before = len(server.requests)
    store.fetch(card, force=True)
    assert len(server.requests) == before + 1


def _fetch(folder, card, results):
    logging.disable()
    results.put(Store(folder).fetch(card).read_bytes() == CONTENT)


def test_two_processes_at_once(store, server, make_card):
    card, context = make_card(url=server.url), multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    processes = [context.Process(target=_fetch, args=(store.folder, card, results)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert [results.get(), results.get()] == [True, True]
    assert len(server.requests) == 1
