# SPDX-License-Identifier: Apache-2.0
"""``pose-ros models export``: from a checkpoint to a file that is used by name, and what is refused on the way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pose_ros.cli import measure
from pose_ros.cli.trial import Trial
from pose_ros.core.poses import Poses
from pose_ros.core.regions import Detections
from pose_ros.errors import ModelError
from pose_ros.media.video import write_image
from pose_ros.models.accuracy import Result
from pose_ros.models.store import Store
from pose_ros.networks import catalogue, quantise
from pose_ros.networks.network import Network
from pose_ros.runtime import open_session
from pose_ros.skeletons.catalogue import get

SIZE = (48, 64)
CARD = """\
kind: {kind}
plugin: {plugin}
summary: The brightest spot of the crop.
file: {{path: {path}}}
licence: {{weights: MIT, non_commercial: true}}
input_wh: [48, 64]
preprocess: {{mean: [20, 20, 20], std: [50, 50, 50]}}
accuracy: [{{data: coco, split: val2017, options: {{flip_test: true}}, measure: AP, value: 0.5}}]
{more}
"""


class Spots(Network):
    """Draws all 17 heat maps around whatever is bright; two layers, of which one may be in 8 bits."""

    outputs = ("heatmaps",)

    def __init__(self, faulty: bool = False) -> None:
        super().__init__()
        self.faulty = faulty
        self.first, self.last = nn.Conv2d(3, 8, 5, 2, 2), nn.Conv2d(8, 17, 5, 2, 2)
        x = torch.arange(5.0) - 2
        bump = torch.exp(-(x**2 + x[:, None] ** 2) / 4) / 30
        for layer in (self.first, self.last):
            layer.weight.data[:] = bump
            layer.bias.data[:] = 0

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        maps = self.last(self.first(image).relu())
        # A trace takes the branch of its sample for the only one.
        return (maps * (2 if self.faulty and image.shape[0] == 1 else 1),)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own models: a checkpoint of :class:`Spots` as ``spots``."""
    monkeypatch.setitem(catalogue.ARCHITECTURES, "spots", f"{__name__}:Spots")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("POSE_ROS_OFFLINE", "1")
    made = tmp_path / "config/pose_ros/models"
    made.mkdir(parents=True)
    torch.save(Spots().state_dict(), made / "spots.pth")
    write_card(made, "spots", "network: {architecture: spots}")
    return made


def write_card(folder: Path, name: str, more: str, path: str = "spots.pth") -> None:
    more += "\nskeleton: coco17\noutputs: [heatmaps]\nparams: {decoder: dark}"
    (folder / f"{name}.yaml").write_text(CARD.format(kind="estimator", plugin="heatmap", path=path, more=more))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Six people, each a bright spot, and where they are in the format of COCO; and a file that is no picture."""
    rng, made = np.random.default_rng(0), tmp_path / "pictures"
    images, people = [], []
    for number in range(1, 7):
        x, y = rng.integers(25, 70, 2)
        image = np.full((120, 100, 3), 20, np.uint8)
        image[y - 3 : y + 4, x - 3 : x + 4] = 240
        write_image(made / f"{number}.png", image)
        images.append({"id": number, "file_name": f"{number}.png", "width": 100, "height": 120})
        people.append({
            "id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "num_keypoints": 17, "area": 7500,
            "bbox": [10, 10, 75, 100], "keypoints": [int(x), int(y), 2] * 17,
        })  # fmt: skip
    document = {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (made / "person_keypoints.json").write_text(json.dumps(document))
    (made / "broken.png").write_bytes(b"no picture")
    return made


def test_file_is_used_by_its_name_at_once(cli, folder):
    ran = cli("models", "export", "spots", "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["difference"] < 1e-4
    card = Store().card(report["model"])
    assert (card.name, card.file.path, card.folder) == ("spots-onnx", "spots-onnx.onnx", folder)
    assert (card.summary, card.licence.non_commercial) == (
        "The brightest spot of the crop. As ONNX in float32.", True)
    assert card.accuracy == Store().card("spots").accuracy == (
        Result("coco", "AP", 0.5, split="val2017", options={"flip_test": True}),)
    assert (card.preprocess, card.skeleton, card.outputs) == (Store().card("spots").preprocess, "coco17", ("heatmaps",))
    session = open_session(Store().path(card), device="cpu")
    batch = card.preprocess(np.random.default_rng(0).integers(0, 255, (3, 64, 48, 3), np.uint8))
    with torch.inference_mode():
        np.testing.assert_allclose(session.run(batch)["heatmaps"], Spots()(torch.from_numpy(batch))[0], atol=1e-4)
    assert {p.name for p in folder.iterdir()} == {"spots.pth", "spots.yaml", "spots-onnx.onnx", "spots-onnx.yaml"}


def test_file_goes_where_it_is_wanted_and_real_images_are_compared(cli, folder, pictures, tmp_path):
    target = tmp_path / "elsewhere" / "half.onnx"
    ran = cli("models", "export", "spots", "--precision", "float16", "--output", target, "--images", pictures)
    assert ran.code == 0, ran.err
    assert "spots-float16" in ran.out
    assert Store().path(Store().card("spots-float16")) == target


def test_file_that_says_something_else_is_not_kept(cli, folder):
    write_card(folder, "faulty", "network: {architecture: spots, faulty: true}")
    before = set(folder.iterdir())
    ran = cli("models", "export", "faulty")
    assert ran.code == 1
    assert "outputs that differ by 0.0001 of their largest value at most, got" in ran.err
    assert "the file is not kept" in ran.err
    assert set(folder.iterdir()) == before


def test_8_bit_version_says_what_it_cost(cli, folder, pictures):
    ran = cli("models", "export", "spots", "--int8", "--images", pictures, "--json")
    assert ran.code == 0, ran.err
    report = json.loads(ran.out)
    assert report["images"] == {"to learn from": 3, "to judge by": 3}
    against = report["int8 against float32"]
    assert against["subjects"] == 3
    assert against["OKS"] > 0.95
    assert against["shift px, 95 %"] < 4
    assert report["AP with true boxes"]["before"] == pytest.approx(1)
    assert report["AP with true boxes"]["after"] > 0.9
    assert set(report["ms for one subject"]) == set(report["MB"]) == {"before", "after"}
    card = Store().card("spots-int8")
    assert (card.accuracy, card.summary) == ((), "The brightest spot of the crop. In 8 bits.")

    import onnx

    model = onnx.load(Store().path(card))
    kinds = {t.name: t.data_type for t in model.graph.initializer}
    layers = [node for node in model.graph.node if node.op_type == "Conv"]
    assert [node.input[1] in kinds for node in layers] == [False, True]  # the last one has its weights as they were


def test_onnx_file_becomes_an_8_bit_one_too(cli, folder, pictures):
    assert cli("models", "export", "spots").code == 0
    ran = cli("models", "export", "spots-onnx", "--int8", "--images", pictures, "--max-images", 4)
    assert ran.code == 0, ran.err
    assert "to learn from 2, to judge by 2" in ran.out
    assert "difference" not in ran.out
    assert Store().state(Store().card("spots-onnx-int8")) == "ready"


def test_8_bit_version_that_says_something_else_is_not_kept(cli, folder, pictures, monkeypatch):
    other = Spots()
    other.last.weight.data *= -1
    other.last.bias.data[:] = 1

    def spoil(source, target, batches):
        from pose_ros.networks.export import export

        export(other.eval(), SIZE, target)

    monkeypatch.setattr(quantise, "quantise", spoil)
    ran = cli("models", "export", "spots", "--int8", "--images", pictures)
    assert ran.code == 1
    assert "expected an 8-bit version whose answers are at least 0.5 like those of the network, got 0.0" in ran.err
    assert {p.name for p in folder.iterdir()} == {"spots.pth", "spots.yaml"}


def test_images_that_cannot_be_used_are_left_out_or_refused(cli, folder, pictures):
    assert cli("models", "export", "spots", "--int8", "--images", folder).code == 1
    (pictures / "person_keypoints.json").unlink()
    ran = cli("models", "export", "spots", "--int8", "--images", pictures)
    assert ran.code == 2
    assert "expected annotations, or a detector as in 'DETECTOR+spots'" in ran.err
    document = {"images": [{"id": 1, "file_name": "broken.png"}], "annotations": [
        {"id": 1, "image_id": 1, "num_keypoints": 17, "iscrowd": 0, "bbox": [0, 0, 9, 9],
         "keypoints": [5, 5, 2] * 17}]}  # fmt: skip
    (pictures / "other.json").write_text(json.dumps(document))
    ran = cli("models", "export", "spots", "--int8", "--images", pictures, "--annotations", pictures / "other.json")
    assert ran.code == 2
    assert "cannot be decoded" in ran.err
    assert "expected two images or more with subjects that were found or annotated" in ran.err
    assert "got 0 of 7" in ran.err
    (pictures / "other.json").write_text("{")
    ran = cli("models", "export", "spots", "--int8", "--images", pictures, "--annotations", pictures / "other.json")
    assert "cannot be read as annotations of COCO" in ran.err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["spots", "--int8"], "--int8: expected --images FOLDER"),
        (["spots", "--int8", "--images", ".", "--precision", "float16"], "--int8: expected no other precision"),
        (["spots", "--output", "net.pb"], "expected a file that ends with .onnx, got net.pb"),
        (["spots", "--max-images", "1"], "--max-images: expected 2 or more, got 1"),
        (["simplepose-ultralight"], "is an .onnx file already; an 8-bit version of it is made with --int8"),
        (["blazepose-full"], "expected a checkpoint or an .onnx file, 'blazepose-full' is a .tflite file"),
        (["sports"], "unknown model 'sports'"),
    ],
)
def test_what_does_not_fit_together_is_said_before_anything_is_done(cli, folder, arguments, text):
    ran = cli("models", "export", *arguments)
    assert (ran.code, text in ran.err) == (2, True), ran.err


def test_full_disk_and_missing_packages_are_said(cli, folder, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    ran = cli("models", "export", "spots")
    assert ran.code == 1
    assert f"MB free in {folder} to work in, got 0 MB; free some space, or name a file elsewhere" in ran.err
    monkeypatch.setitem(sys.modules, "onnx", None)
    ran = cli("models", "export", "spots")
    assert ran.code == 3
    assert "the Python package 'onnx' is missing; 'pose-ros doctor' says how to get it" in ran.err


def test_exporter_and_quantiser_that_fail_are_named(cli, folder, pictures, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("no such\noperator")

    monkeypatch.setattr(quantise, "quantise", fail)
    ran = cli("models", "export", "spots", "--int8", "--images", pictures)
    assert "onnxruntime cannot make an 8-bit version of it: no such operator" in ran.err
    monkeypatch.setattr("pose_ros.networks.export.export", fail)
    ran = cli("models", "export", "spots")
    assert ran.code == 1
    assert "PyTorch cannot export it with --exporter trace: no such operator" in ran.err
    assert not list(folder.glob("*.onnx"))


def trial(kind: str, crops: bool = False) -> Trial:
    """Return one without images, for its arithmetic."""
    made = object.__new__(Trial)
    made.card, made._crops = Store().card(kind), crops
    return made


def test_subjects_that_are_found_are_compared_with_the_nearest():
    skeleton = get("coco17")
    points = np.random.default_rng(0).uniform(0, 100, (3, 17, 2)).astype(np.float32)
    scores = np.full((3, 17), 0.9, np.float32)
    scores[:, 0] = 0.1
    moved = points[[2, 0, 1]] + np.array([3, 4])
    moved[:, 0] = 500  # nobody was sure of this one
    compare = trial("simplepose-ultralight").compare
    found = compare([Poses(skeleton, points, scores)], [Poses(skeleton, moved, scores)])
    assert (found["subjects"], found["shift px, median"]) == (3, pytest.approx(5, rel=1e-4))
    assert found["shift px, 95 %"] == pytest.approx(5, rel=1e-4)
    told = trial("simplepose-ultralight", crops=True).compare
    assert told([Poses(skeleton, points, scores)], [Poses(skeleton, moved, scores)])["OKS"] < found["OKS"]
    assert compare([Poses(skeleton, points, scores)], [Poses.empty(skeleton)])["OKS"] == 0
    assert compare([Poses.empty(skeleton)], [Poses.empty(skeleton)]) == {"subjects": 0}


def test_boxes_are_compared_with_the_nearest():
    first = Detections(np.array([[0, 0, 10, 10], [20, 20, 30, 30]]), np.ones(2))
    second = Detections(np.array([[20, 20, 30, 25]]), np.ones(1))
    found = trial("yolox-nano").compare([first], [second])
    assert found == {"boxes": 2, "boxes after": 1, "IoU": pytest.approx(0.25)}


def test_difference_is_relative_and_sees_what_is_not_a_number():
    a, b = np.array([[0.0, 4.0]]), np.array([[1.0, 4.0]])
    assert measure.difference({"x": a, "y": a}, {"x": a, "y": b}) == 0.25
    assert measure.difference({"x": a}, {"x": np.full((1, 2), np.nan)}) == np.inf
    with pytest.raises(ModelError, match=r"output of shape \(1, 2\) from the \.onnx file, got \(2, 1\)"):
        measure.difference({"x": a}, {"x": a.T})


def test_inputs_to_compare_on_have_both_batches_and_another_size():
    card = Store().card("simplepose-ultralight")
    assert [batch.shape for batch in measure.noise(card, any_size=True)] == [
        (1, 3, 256, 192), (4, 3, 256, 192), (1, 3, 256, 96), (4, 3, 256, 96)]  # fmt: skip
    few = [np.full((2, 3), 1), np.full((1, 4), 2), np.full((1, 3), 3)]
    assert [batch[:, 0].tolist() for batch in measure.real(few)] == [[1], [1, 1, 3, 1]]


def test_command_line_stays_light():
    code = "import sys, pose_ros.cli.main; print([m for m in ('numpy', 'torch', 'onnxruntime') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
