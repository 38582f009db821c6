# SPDX-License-Identifier: Apache-2.0
"""Who may see the page, and who may touch anything."""

import pytest

from pose_ros.errors import ConfigError
from pose_ros.web.guard import Guard, is_loopback

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize(("host", "own"), [
    ("127.0.0.1", True), ("127.9.9.9", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False),
    ("192.168.1.5", False), ("robot", False),
])
def test_what_is_this_machine(host, own):
    assert is_loopback(host) is own


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "LocalHost"])
def test_on_loopback_the_page_is_for_whoever_calls_this_machine_by_its_own_names(host):
    assert Guard("127.0.0.1").page(host, "") == ""


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8080", "localhost.evil.example", "", "[",
                                  "10.0.0.1", "robot.local"])
def test_a_name_that_was_made_to_point_here_is_refused(host):
    guard = Guard("127.0.0.1", TOKEN)
    assert "expected Host to name this machine" in guard.page(host, "")
    assert "expected Host to name this machine" in guard.file(host)
    assert "expected Host to name this machine" in guard.action({"Host": host}, TOKEN)


def test_others_need_the_token_in_the_address_of_the_page():
    guard = Guard("0.0.0.0", TOKEN, ["Robot.example.org"])
    for host in ("10.0.0.1:8080", "robot.example.org:8080", "localhost"):
        assert "expected the token" in guard.page(host, "")
        assert "expected the token" in guard.page(host, TOKEN + "0")
        assert guard.page(host, TOKEN) == ""
    assert "allowed_hosts" in guard.page("evil.example", TOKEN)


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://localhost", "http://localhost:8081"])
def test_pages_of_others_may_do_nothing_even_with_the_token(origin):
    assert "from a page of" in Guard("127.0.0.1", TOKEN).action({"Host": "localhost:8080", "Origin": origin}, TOKEN)


def test_our_page_and_programs_may_with_the_token_alone():
    guard = Guard("127.0.0.1", TOKEN)
    for headers in ({"Host": "localhost:8080"}, {"Host": "localhost:8080", "Origin": "http://localhost:8080"},
                    {"Host": "localhost:8080", "Origin": "https://localhost:8080"}):
        assert guard.action(headers, TOKEN) == ""
        for wrong in ("", TOKEN[:-1], "\udcff", "ä"):
            assert "expected the token" in guard.action(headers, wrong)


def test_a_token_is_made_and_short_ones_are_refused():
    assert len(Guard("127.0.0.1").token) == 32
    assert Guard("127.0.0.1").token != Guard("127.0.0.1").token
    for short in ("secret", "0123456789abcde ", "<script>alert()</script>"):
        with pytest.raises(ConfigError, match="token: expected at least 16"):
            Guard("127.0.0.1", short)
