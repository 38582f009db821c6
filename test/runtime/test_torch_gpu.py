# SPDX-License-Identifier: Apache-2.0
"""What is done around a network on a GPU, as far as a processor can do it: crops, and which sizes are recorded."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pose_ros.core import warp
from pose_ros.core.crops import Crops
from pose_ros.errors import DeviceError
from pose_ros.models.card import Preprocess
from pose_ros.networks import catalogue
from pose_ros.networks.network import Network
from pose_ros.runtime import open_session, torch_gpu

SIZE = (48, 64)
#: Inside, across each border, far outside, turned, shrunk and enlarged.
REGIONS = np.array([
    [160, 120, 90, 120, 0], [10, 30, 60, 80, 0], [310, 230, 60, 80, 0.4], [900, 900, 40, 60, 0], [150, 100, 48, 64, -2],
    [160, 120, 400, 500, 0.1], [200, 90, 12, 16, 0],
], np.float32)  # fmt: skip


class Mean(Network):
    """The mean colour of each row of the input."""

    outputs = ("rows",)

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.weight * image.mean(dim=3),)


@pytest.fixture
def image() -> np.ndarray:
    """Smooth colours, as a camera has them, with edges."""
    rng = np.random.default_rng(5)
    coarse = rng.uniform(0, 255, (9, 11, 3)).astype(np.float32)
    y, x = np.mgrid[0:240, 0:320]
    fine = coarse[y // 30, x // 30]
    return np.clip(fine + 20 * np.sin(x / 7)[..., None], 0, 255).astype(np.uint8)


def crops(image: np.ndarray, align: warp.Align = "corner") -> Crops:
    matrices = warp.region_matrix(REGIONS, SIZE, align)
    return Crops(image, matrices, SIZE, np.arange(len(REGIONS)) % 2 == 1)


@pytest.mark.parametrize("align", ["area", "udp", "corner"])
@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_cuts_what_opencv_cuts(image, align, colour):
    scaling = Preprocess(color=colour, mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4))
    some = crops(image, align)
    found = torch_gpu.cut(torch_gpu.Cuts(some, scaling), "cpu").numpy()
    expected = scaling(some.pixels())
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    # Grey levels. OpenCV counts coordinates in 1/32 of a pixel, which an edge of 250 levels shows.
    apart = np.abs(found - expected) * 57.4
    assert apart.mean() < 0.3
    assert np.percentile(apart, 99) <= 4


def test_part_of_them_is_that_part(image):
    some = crops(image)
    whole = torch_gpu.cut(torch_gpu.Cuts(some, Preprocess()), "cpu")
    torch.testing.assert_close(torch_gpu.cut(torch_gpu.Cuts(some, Preprocess())[2:5], "cpu"), whole[2:5])


def test_mirror_images_are_those_of_the_crops(image):
    both = crops(image).both_ways()
    found = torch_gpu.cut(torch_gpu.Cuts(both, Preprocess()), "cpu")
    torch.testing.assert_close(found[len(REGIONS) :], found[: len(REGIONS)].flip(3), atol=1, rtol=0)
    np.testing.assert_array_equal(both.pixels()[len(REGIONS) :], both.pixels()[: len(REGIONS), :, ::-1])


@pytest.mark.parametrize("most", [0, 2])
def test_session_runs_on_crops_it_cuts_itself(image, tmp_path, monkeypatch, most):
    monkeypatch.setattr(catalogue, "ARCHITECTURES", {"mean": f"{__name__}:Mean"})
    torch.save({"state_dict": {"weight": torch.ones(1)}}, tmp_path / "mean.pth")
    session = open_session(tmp_path / "mean.pth", network={"architecture": "mean"}, input_wh=SIZE, batch=most)
    assert not session.cuts  # OpenCV is faster on a processor
    some, scaling = crops(image), Preprocess()
    found = session.run_crops(some, scaling)["rows"]
    np.testing.assert_allclose(found, session.run(scaling(some.pixels()))["rows"], atol=1.5)
    assert session.run_crops(some[:0], scaling)["rows"].shape == (0, 3, SIZE[1])


def test_sizes_are_recorded_once_and_the_oldest_are_forgotten(monkeypatch):
    made = []

    class Recording:
        def __init__(self, network, given):
            made.append(tuple(given.shape))
            self.network, self.given = network, given

        def __call__(self, batch):
            self.given[: len(batch)].copy_(batch)
            return tuple(output[: len(batch)] for output in self.network(self.given))

    monkeypatch.setattr(torch_gpu, "Recording", Recording)
    replayed = torch_gpu.Replayed(lambda batch: (batch * 2, batch.sum(1)))
    for n in (1, 3, 4, 2, 5, 8, 1):
        batch = torch.arange(2.0 * n).reshape(n, 2)
        double, total = replayed(batch)
        torch.testing.assert_close(double, batch * 2)
        torch.testing.assert_close(total, batch.sum(1))
    assert made == [(1, 2), (4, 2), (2, 2), (8, 2)]
    for width in range(3, 11):
        replayed(torch.zeros(1, width))
    made.clear()
    replayed(torch.zeros(1, 10))
    replayed(torch.zeros(1, 2))
    assert made == [(1, 2)]
    replayed.forget()
    replayed(torch.zeros(1, 2))
    assert made == [(1, 2)] * 2


def test_graphs_are_refused_where_nothing_records_them(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "ARCHITECTURES", {"mean": f"{__name__}:Mean"})
    torch.save({"state_dict": {"weight": torch.ones(1)}}, tmp_path / "mean.pth")
    with pytest.raises(DeviceError, match=r"only NVIDIA's GPUs replay CUDA graphs, and mean.pth would run on a pro"):
        open_session(tmp_path / "mean.pth", device="cpu", network={"architecture": "mean"}, input_wh=SIZE, graphs=True)
