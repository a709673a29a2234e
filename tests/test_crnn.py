"""Convolutions over pictures, before LSTMs along their columns and between LSTM levels: against nested loops, and what they refuse."""

import numpy as np
import pytest
import torch
from oracles import close
from test_mdlstm import loops

from recog.config import build as build_config
from recog.encoders.conv_mdrnn import ConvMdrnn, ConvMdrnnConfig
from recog.encoders.crnn import Crnn, CrnnConfig
from recog.errors import ConfigError
from recog.layers.pictures import FAINT, SLOPE, ConvBlock, upright
from recog.models.recognizer import RecognizerConfig

pytestmark = pytest.mark.usefixtures("one_thread")


def by_loops(block, h, width):
    """h [H, W, C] in float64, sides multiples of the block's, of which `width` columns are true, through filters, the largest of each block,
    normalization, and what is below zero made small."""
    weight = block.convolution.weight.double().detach().numpy()
    sums = np.zeros((*h.shape[:2], len(weight)))
    for y, x, channel in np.ndindex(sums.shape):
        for i, j in np.ndindex(3, 3):
            if 0 <= y + i - 1 < h.shape[0] and 0 <= x + j - 1 < h.shape[1]:
                sums[y, x, channel] += weight[channel, :, i, j] @ h[y + i - 1, x + j - 1]
    sums[:, width:] = 0.0
    down, along = block.shape
    found = np.zeros((h.shape[0] // down, h.shape[1] // along, len(weight)))
    for y, x in np.ndindex(found.shape[:2]):
        largest = sums[y * down:(y + 1) * down, x * along:(x + 1) * along].max((0, 1))
        if h.shape[2] > 1:
            largest = block.norm.weight.detach().numpy() * (largest - largest.mean()) / np.sqrt(largest.var() + FAINT)
        found[y, x] = np.where(largest > 0, largest, SLOPE * largest)
    return found


def with_paper(x, down, along):
    """Columns [T, height] as [H, W, 1] in float64, up to multiples."""
    height, width = -(-x.shape[1] // down) * down, -(-x.shape[0] // along) * along
    picture = np.zeros((height, width, 1))
    picture[:x.shape[1], :x.shape[0], 0] = x.double().numpy().T
    return picture


@pytest.mark.parametrize("width", [1, 7, 12])
def test_what_the_lstm_sees_is_what_loops_compute(width):
    torch.manual_seed(2)
    model = Crnn(CrnnConfig(channels=(3, 2), down=(2, 2), along=(3, 2), layers=1, units=4), 9).eval()
    torch.nn.init.normal_(model.blocks[1].norm.weight)
    x = torch.rand(1, width, 9)
    h, true = with_paper(x[0], 4, 6), width
    for block in model.blocks:
        h, true = by_loops(block, h, true), -(-true // block.shape[1])
    columns = torch.from_numpy(h.transpose(1, 0, 2).reshape(1, h.shape[1], -1)).float()
    expected, found = model.blstm(columns, torch.tensor([h.shape[1]])), model(x, torch.tensor([width]))
    close("convolutions before LSTMs along the columns: nested loops in float64", found.h, expected.h, 2e-6)
    assert found.n.tolist() == [-(-width // 6)]


@pytest.mark.parametrize("cell", ["standard", "stable"])
def test_convolutions_between_levels_are_what_loops_compute(cell):
    torch.manual_seed(2)
    config = ConvMdrnnConfig(channels=(2, 3, 2), down=(2, 1, 2), along=(1, 2, 1), units=(0, 2, 3), cell=cell)
    model = ConvMdrnn(config, 7).eval()
    x = torch.rand(1, 5, 7)
    h = with_paper(x[0], 4, 2)
    for block, level, before, width in zip(model.blocks, model.levels, (5, 5, 3), (5, 3, 3)):
        h = by_loops(block, h, before)
        if not isinstance(level, torch.nn.Identity):
            wide = torch.zeros(1, *h.shape[:2], level.output_size, dtype=torch.float64)
            wide[:, :, :width] = loops(torch.from_numpy(h[None, :, :width]), *(weight.double() for weight in level.parameters()),
                                       torch.tensor([[len(h), width]]), cell)
            h = wide[0].detach().numpy()
    close("convolutions between LSTM levels: nested loops in float64", model(x, torch.tensor([5])).h[0], h.sum(0), 2e-6)


@pytest.mark.parametrize("down, along", [(1, 1), (2, 2), (1, 3)])
def test_paper_stays_paper(down, along):
    """Zeros give zeros, so that padding may be of any length: there is no bias, and normalization adds nothing."""
    block = ConvBlock(2, 5, down, along)
    torch.nn.init.normal_(block.norm.weight)
    h = torch.zeros(1, 6, 12, 2)
    h[:, 2, 3] = 1.0
    found = block(h, torch.tensor([12]))
    assert found.shape == (1, 6 // down, 12 // along, 5) and found.any() and not found[:, :, -(-5 // along):].any()


def test_grey_strokes_become_grey_and_channels_are_brought_to_one_scale():
    torch.manual_seed(0)
    first, second, picture, n = ConvBlock(1, 8, 1, 1), ConvBlock(8, 8, 1, 1), torch.zeros(1, 9, 9, 1), torch.tensor([9])
    picture[:, :, 4] = 1.0
    dark, grey = (first(strength * picture, n) for strength in (1.0, 0.5))
    assert torch.allclose(0.5 * dark, grey, atol=1e-6)
    assert 0.9 < (second(grey, n).norm() / second(dark, n).norm()).item() < 1.0
    assert second(0.01 * dark, n).norm() < 0.3 * second(dark, n).norm()                   # but not what hardly can be seen


def test_columns_become_upright_pictures():
    x = torch.arange(1.0, 13).view(1, 4, 3)
    picture = upright(x, torch.tensor([3]), 2, 3)
    assert picture.shape == (1, 4, 6, 1) and picture.is_contiguous()
    assert picture[0, :, :, 0].tolist() == [[1, 4, 7, 0, 0, 0], [2, 5, 8, 0, 0, 0], [3, 6, 9, 0, 0, 0], [0, 0, 0, 0, 0, 0]]


def test_settings_from_a_file():
    table = {"kind": "crnn", "channels": [8, 16], "down": [2, 2], "along": [2, 1], "layers": 2, "units": 32, "channel_dropout": 0.2}
    config = build_config(RecognizerConfig, {"encoder": table}, "a file").encoder.config
    assert config == CrnnConfig(layers=2, units=32, channels=(8, 16), down=(2, 2), along=(2, 1), channel_dropout=0.2)


@pytest.mark.parametrize("kind", ["crnn", "conv_mdrnn"])
@pytest.mark.parametrize("wrong, line", [
    ({"channels": []}, "channels needs at least one number"), ({"channels": [4, 0]}, "must be at least 1"),
    ({"channels": [4, 4], "down": [2]}, "down needs 2 whole numbers of at least 1, one per convolution"),
    ({"channels": [4], "down": [2], "along": [0]}, "along needs 1 whole numbers"), ({"dropout": -0.1}, "dropout must be at least 0"),
    ({"cell": "leaky"}, "cell must be one of"), ({"height": 64}, "unknown setting")])
def test_what_is_no_network_is_refused(kind, wrong, line):
    with pytest.raises(ConfigError, match=line):
        build_config(RecognizerConfig, {"encoder": {"kind": kind, **wrong}}, "a file")


def test_what_only_one_of_them_refuses():
    for units in ((1,), (0, 0, 0, 0), (1, 1, 1, -1)):
        with pytest.raises(ValueError, match="units needs 4 whole numbers of at least 0"):
            ConvMdrnnConfig(units=units)
    with pytest.raises(ValueError, match="channel_dropout"):
        CrnnConfig(channel_dropout=1.0)
    with pytest.raises(ValueError, match="layers and units"):
        CrnnConfig(layers=0)
