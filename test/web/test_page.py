# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser, before a robot that is made up."""

import cv2
import numpy as np
import pytest
from fake_robot import ACTIONS, IMAGE, INFO, NODE, SKELETONS, within

from pose_ros.web.board import OVERVIEW

LIMBS = {"schema": "limb", "names": ["left_a", "right_b"], "edges": [0, 1], "colors": [], "flip": [], "measures": [],
         "units": []}
SUBJECT = {
    "id": 7, "parent": 0, "label": "", "state": 2, "side": "", "score": 0.9, "keypoints": [10.0, 20.0, None, None],
    "scores": [0.8, 0.9], "points": [0.0, -0.5, 2.0, 0.0, 0.5, 2.0], "local_points": [], "measures": [],
}
ARRAY = {"schema": "limb", "model": "blazepose-full", "frame": "camera_optical_frame", "optical": True,
         "size": [64, 48], "age_ms": 12.5, "stages": {}, "subjects": [SUBJECT]}


def opened(page, server, query=""):
    page.goto(f"http://127.0.0.1:{server.port}/{query}")
    shows(page, "#connection", "connected")
    return page


def text(page, selector):
    return page.locator(selector).inner_text()


def shows(page, selector, words):
    page.wait_for_function("([s, w]) => document.querySelector(s).textContent.includes(w)", arg=[selector, words])


def show(robot, page, key, head, body=b""):
    assert within(lambda: key in robot.wanted), f"the page does not ask for {key}"
    robot.board.put(key, lambda: (head, body))


#: Runs in the page: pixels are many, and reach Python slowly.
MIDDLE = """([selector, color]) => {
  const c = document.querySelector(selector), data = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
  let n = 0, x = 0, y = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (Math.abs(data[i] - color[0]) + Math.abs(data[i + 1] - color[1]) + Math.abs(data[i + 2] - color[2]) < 30) {
      n += 1; x += (i / 4) % c.width; y += Math.floor(i / 4 / c.width);
    }
  }
  return [n, x / n, y / n];
}"""
LEFT, RIGHT = (255, 140, 66), (74, 168, 255)


def middle(page, selector, color):
    """Return how many pixels of a canvas have about this color, and their mean x and y."""
    return page.evaluate(MIDDLE, [selector, list(color)])


def test_the_image_is_drawn(page, serve, robot):
    opened(page, serve())
    image = np.full((48, 64, 3), (30, 200, 60), np.uint8)
    jpeg = cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
    show(robot, page, ("image", IMAGE), {"type": "image/jpeg", "age_ms": 40.0}, jpeg)
    shows(page, "#image-rate", "64×48")
    assert "40 ms old" in text(page, "#image-rate")
    assert middle(page, "#picture", (30, 200, 60)) == [64 * 48, 31.5, 23.5]


def test_what_is_no_image_breaks_nothing(page, serve, robot):
    opened(page, serve())
    show(robot, page, ("image", IMAGE), {"type": "image/jpeg", "age_ms": None}, b"no image at all")
    assert within(lambda: bool(page.wait_for_timeout(50) or page.errors))
    assert "image" in page.errors.pop().lower()
    robot.overview(statuses=[])
    shows(page, "#nodes", "says nothing of itself")


def test_the_skeleton_stands_upright_and_turns_with_the_mouse(page, serve, robot):
    opened(page, serve())
    show(robot, page, ("info", INFO), LIMBS)
    show(robot, page, ("skeletons", SKELETONS), ARRAY)
    shows(page, "#keypoints", "left_a")
    show(robot, page, ("skeletons", SKELETONS), ARRAY)
    shows(page, "#space-note", "metres in camera_optical_frame")
    (_, x, y), (_, other_x, other_y) = (middle(page, "#space", color) for color in (LEFT, RIGHT))
    assert y + 40 < other_y, "y of an optical frame points down"
    assert abs(x - other_x) < 5
    middle_before = middle(page, "#space", RIGHT)
    rows = page.locator("#keypoints tr")
    assert rows.nth(0).inner_text().split() == ["left_a", "0.80", "10.0", "20.0", "0.000", "-0.500", "2.000"]
    assert rows.nth(1).inner_text().split() == ["right_b", "0.90", "0.000", "0.500", "2.000"], "NaN is an empty cell"
    # From straight above the upper end hides the lower one.
    box = page.locator("#space").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 350, steps=5)
    page.mouse.up()
    seen, x, y = middle(page, "#space", LEFT)
    hidden, *_ = middle(page, "#space", RIGHT)
    width, height = (page.evaluate(f"() => document.querySelector('#space').{side}") for side in ("width", "height"))
    assert seen > 0
    assert abs(x - width / 2) < 30
    assert abs(y - height / 2) < 30
    assert hidden < 0.3 * middle_before[0]


def test_world_frames_have_z_up(page, serve, robot):
    opened(page, serve())
    show(robot, page, ("info", INFO), LIMBS)
    points = [3.0, 1.0, 1.7, 3.0, 1.0, 0.1]
    array = {**ARRAY, "frame": "map", "optical": False, "subjects": [{**SUBJECT, "points": points}]}
    for _ in range(2):
        show(robot, page, ("skeletons", SKELETONS), array)
        shows(page, "#space-note", "metres in map")
        page.wait_for_timeout(100)
    (_, _, y), (_, _, other_y) = (middle(page, "#space", color) for color in (LEFT, RIGHT))
    assert y + 40 < other_y


def test_shapes_without_a_place_are_shown_and_said(page, serve, robot):
    opened(page, serve())
    show(robot, page, ("info", INFO), LIMBS)
    nowhere = {**SUBJECT, "points": [None] * 6, "local_points": [0.0, -0.3, 0.0, 0.0, 0.3, 0.0]}
    show(robot, page, ("skeletons", SKELETONS), {**ARRAY, "subjects": [nowhere]})
    shows(page, "#space-note", "nothing is known of their places")


def test_nodes_and_actions_are_listed(page, serve, robot):
    opened(page, serve())
    robot.overview(nodes=[NODE, "/other"])
    shows(page, "#nodes", "/other")
    assert "29.7" in text(page, "#nodes")
    assert "21.5" in text(page, "#nodes")
    assert text(page, "#running") == "blazepose-full on cpu"
    action = {"name": "waving", "recogniser": "waving", "phase": 1, "score": 0.75, "id": 7, "count": 0, "side": "left",
              "values": [["frequency", "Hz", 2.0]]}
    show(robot, page, ("actions", ACTIONS), {"schema": "limb", "actions": [action]})
    shows(page, "#actions", "left waving")
    assert "frequency 2.00 Hz" in text(page, "#actions")


def test_what_is_wrong_and_what_is_silent_can_be_told_apart(page, serve, robot):
    opened(page, serve())
    levels = {"a": 0, "b": 1, "c": 2, "d": 3}
    robot.overview(statuses=[
        *({"name": name, "node": NODE, "level": level, "message": "", "values": {}} for name, level in levels.items()),
        {"name": "e", "node": NODE, "level": 0, "message": "silent for 9 s", "values": {}, "silent": True},
    ])
    shows(page, "#nodes", "silent for 9 s")
    classes = [row.get_attribute("class") for row in page.locator("#nodes tr").all()]
    assert classes == ["ok", "warn", "bad", "warn", "faint"]


def test_a_model_is_switched_and_errors_are_shown(page, serve, robot):
    opened(page, serve())
    page.locator("#models option").nth(1).wait_for(state="attached")
    page.locator("#models").select_option("other")
    robot.answer = False, "other: expected its file at /models, found none"
    page.locator("#switch").click()
    shows(page, "#answer", "found none")
    assert page.locator("#answer").get_attribute("class") == "bad"
    robot.answer = True, "other takes over with the next frame"
    page.locator("#switch").click()
    shows(page, "#answer", "takes over")
    for button in ("pause", "resume", "reset"):
        page.locator(f"#{button}").click()
        page.locator(f"#{button}:enabled").wait_for()
    assert robot.calls == [
        *[(NODE, "set_model", {"model": "other"})] * 2,
        (NODE, "enable", {"data": False}), (NODE, "enable", {"data": True}), (NODE, "reset", {}),
    ]


def test_read_only_pages_have_no_buttons_that_work(page, serve, robot):
    opened(page, serve(read_only=True))
    shows(page, "#answer", "read_only")
    assert all(page.locator(f"#{name}").is_disabled() for name in ("switch", "models", "pause", "resume", "reset"))


def test_names_from_the_network_are_text(page, serve, robot):
    """Topics and diagnostics come from anybody in the domain."""
    evil = "<img src=x onerror=\"document.title='hacked'\"><script>document.title='hacked'</script>"
    status = {"name": evil, "node": NODE, "level": 1, "message": evil, "values": {"model": evil, "device": evil}}
    robot.overview(statuses=[status], nodes=[evil])
    robot.known = [{"name": evil, "skeleton": evil}]
    opened(page, serve())
    shows(page, "#nodes", "onerror")
    shows(page, "#models", "onerror")
    page.wait_for_timeout(200)
    assert page.title() == "pose_ros"
    assert page.locator("img").count() == 0


def test_a_page_that_is_not_seen_asks_for_nothing(page, serve, robot):
    opened(page, serve())
    assert within(lambda: ("image", IMAGE) in robot.wanted)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true}); "
                  "document.dispatchEvent(new Event('visibilitychange'))")
    assert within(lambda: robot.wanted == set())


def test_it_finds_the_robot_again(page, serve, robot):
    server = serve(token="0123456789abcdef")
    opened(page, server)
    for viewer in tuple(server._sockets):
        server._loop.call_soon_threadsafe(lambda v=viewer: server._loop.create_task(v.close()))
    shows(page, "#connection", "not connected")
    page.wait_for_function("() => document.getElementById('connection').textContent === 'connected'")
    assert OVERVIEW in robot.wanted


def test_a_page_of_a_stranger_reads_nothing_and_does_nothing(page, serve, robot, browser):
    """Another origin in the same browser: neither fetch nor WebSocket nor a frame get through."""
    server, stranger = serve(token="0123456789abcdef"), serve(token="fedcba9876543210")
    opened(page, stranger)
    page.errors.clear()
    target = f"127.0.0.1:{server.port}"
    done = page.evaluate("""async target => {
      const tried = async work => { try { return await work(); } catch (error) { return String(error); } };
      return [await tried(async () => (await fetch(`http://${target}/`)).status),
              await tried(async () => (await fetch(`http://${target}/call`, {method: "POST", mode: "no-cors",
                body: '{"node": "/pose", "service": "reset"}'})).type)];
    }""", target)
    assert all("Failed to fetch" in one for one in done), done
    assert not robot.calls
    page.errors.clear()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_both_names_of_this_machine_work(page, serve, host, robot):
    server = serve()
    page.goto(f"http://{host}:{server.port}/")
    shows(page, "#connection", "connected")
    shows(page, "#nodes", "pose: pipeline")


def test_beyond_loopback_the_page_works_with_the_token_in_its_address(page, serve, robot):
    server = serve(token="0123456789abcdef", seen_as="0.0.0.0")
    opened(page, server, query="?token=0123456789abcdef")
    shows(page, "#nodes", "pose: pipeline")
