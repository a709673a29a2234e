"""The hierarchy of 2009: against nested loops written from the paper, its number of weights, and what it refuses."""

import numpy as np
import pytest
import torch
from oracles import close
from test_mdlstm import loops

from recog.config import Component, build as build_config
from recog.encoders.mdrnn import Mdrnn, MdrnnConfig, blocks
from recog.errors import ConfigError
from recog.features import FeatureConfig
from recog.models.recognizer import RecognizerConfig, build

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_network_of_2009_has_as_many_weights_as_rnnlibs():
    """80 classes and the blank; 30 rows of blocks or 10: the height does not count."""
    for height in (120, 40):
        model = build(RecognizerConfig(Component("mdrnn", MdrnnConfig()), features=FeatureConfig(mels=height)), 81)
        assert sum(weight.numel() for weight in model.parameters()) == 151_329
    assert model.encoder.subsampling == 18 and model.encoder.output_size == 200


def by_loops(model, picture, cell):
    """Rows and columns of one picture [H, W] through the hierarchy, position by position, in float64; frames [T', 4 units]."""
    h = picture.double()[:, :, None]
    for number, level in enumerate(model.levels):
        down, along = model.shapes[number]
        rows, columns = -(-h.shape[0] // down), -(-h.shape[1] // along)
        new = []
        for y, x in np.ndindex(rows, columns):
            inside = [(y * down + i, x * along + j) for i in range(down) for j in range(along)]
            if number == 0:
                inside = sorted(inside, key=lambda at: (at[1], at[0]))                # pixels by columns
            values = [h[i, j] if i < h.shape[0] and j < h.shape[1] else torch.zeros_like(h[0, 0]) for i, j in inside]
            joined = torch.cat(values)
            new.append(torch.tanh(model.between[number - 1].weight.double() @ joined) if number else joined)
        h = torch.stack(new).view(1, rows, columns, -1)
        h = loops(h, *(weight.double() for weight in level.parameters()), torch.tensor([[rows, columns]]), cell)[0]
    return sum(h[y] for y in range(len(h)))


@pytest.mark.parametrize("cell", ["standard", "stable"])
@pytest.mark.parametrize("height, width", [(7, 9), (6, 1), (1, 5), (12, 8)])
def test_the_hierarchy_is_what_loops_compute(height, width, cell):
    torch.manual_seed(1)
    model = Mdrnn(MdrnnConfig(units=(1, 2, 3), along=(2, 1, 3), down=(3, 2, 1), between=(2, 3), cell=cell), height)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.5)
        picture = torch.rand(height, width)
        found = model(picture.t()[None], torch.tensor([width]))
        close("hierarchy of LSTM levels: nested loops in float64", found.h[0], by_loops(model, picture, cell), 1e-6)


def test_blocks_of_positions():
    h = torch.arange(2 * 3 * 5 * 2).view(2, 3, 5, 2)
    for turned in (False, True):
        found = blocks(h, 2, 3, turned)
        assert found.shape == (2, 2, 2, 12)
        for b, row, column in np.ndindex(2, 2, 2):
            whole = torch.zeros(2, 3, 2, dtype=h.dtype)
            part = h[b, 2 * row:2 * row + 2, 3 * column:3 * column + 3]
            whole[:part.shape[0], :part.shape[1]] = part
            assert torch.equal(found[b, column, row] if turned else found[b, row, column], whole.flatten())


def test_paper_up_to_the_end_of_a_block_of_pixels_changes_nothing():
    torch.manual_seed(1)
    model, x = Mdrnn(MdrnnConfig(units=(2, 3), along=(3, 2), down=(2, 2), between=(4,)), 5), torch.rand(1, 7, 5)
    paper = torch.nn.functional.pad(x, (0, 0, 0, 2))
    close("hierarchy of LSTM levels: paper at the end", model(x, torch.tensor([7])).h, model(paper, torch.tensor([9])).h, 1e-6)


def test_settings_from_a_file():
    table = {"kind": "mdrnn", "units": [4, 8], "along": [2, 2], "down": [4, 4], "between": [6], "cell": "stable", "dropout": 0.25}
    config = build_config(RecognizerConfig, {"encoder": table}, "a file").encoder.config
    assert config == MdrnnConfig((4, 8), (2, 2), (4, 4), (6,), "stable", 0.25)


@pytest.mark.parametrize("wrong, line", [
    ({"units": []}, "units needs at least one number"), ({"units": [2, 0, 5]}, "must be at least 1"),
    ({"along": [3, 3]}, "along needs 3 whole numbers of at least 1, one per level"), ({"down": [4, 4, 0]}, "down needs 3 whole numbers"),
    ({"between": [6]}, "between needs 2 whole numbers of at least 1, one for each level but the last"),
    ({"units": [5], "along": [2], "down": [2]}, "between needs 0 whole numbers"), ({"cell": "leaky"}, "cell must be one of: standard, stable"),
    ({"dropout": 1.0}, "dropout must be at least 0 and below 1"), ({"unit": [2]}, "unknown setting.*did you mean 'units'")])
def test_what_is_no_hierarchy_is_refused(wrong, line):
    with pytest.raises(ConfigError, match=line):
        build_config(RecognizerConfig, {"encoder": {"kind": "mdrnn", **wrong}}, "a file")
