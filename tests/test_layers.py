"""The house's rules: imports go downwards, light commands stay light, importing does nothing, files stay short."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "recog"

LAYERS = [
    ["errors", "types", "files", "growing", "memory", "seen", "workers", "ranks", "part"],
    ["components", "config", "manifest", "pronounce", "text", "significance", "transcripts", "score", "phones", "phonereport", "report", "scoring",
     "exports", "confusions", "svg", "nbest", "pages"],
    ["audio", "ink", "image", "phn", "textgrid", "noise", "augment", "segment", "sources", "iamdb"],
    ["features", "featurestream", "pen", "scan", "views", "pixels", "perturb", "names", "remaking", "store", "batching", "examples", "layers", "kernels", "threads", "precision"],
    ["encoders", "heads", "lm"],
    ["models", "decode"],
    ["modeldir", "ensemble", "writingmodel", "optim", "checkpoint", "progress", "pretrain", "gradients", "train", "phases", "evaluation", "decoding", "pixelmodel", "pixelscore", "respell", "splice", "hooks"],
    ["writing"],
    ["launch", "ledger", "recipe", "experiment", "corpus", "results", "findings", "runreport", "plan", "training", "beginnings", "textmodel", "lmfile", "textrun", "writingrun", "pixelrun", "pixelreport", "guiding", "stages", "tuning",
     "pruning", "rescoring", "answers", "reading", "streaming", "alignment", "aligntool", "inkplot", "writingplot", "api", "bulk", "live",
     "formats", "synthesis", "rendering", "writeverbs", "portable", "catalog", "doctor", "filefacts", "inspection", "lmtool", "lmverbs"],
    ["cli", "__main__", "__init__", "testing"],
]
LAYER = {name: number for number, names in enumerate(LAYERS) for name in names}

FILES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))
         if not {"pretrained", "recipes"} & set(path.parts)} | {"cli": ROOT / "cli.py"}
MODULES = {name.removesuffix(".__init__"): path for name, path in FILES.items()}


def imports(name, path):
    """The recog modules that a file names in its imports, wherever they stand in it."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    package = "" if package == "__init__" else package
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("recog.") for alias in node.names if alias.name.startswith("recog."))
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if package else []
            base = parts[:len(parts) - node.level + 1] if node.level else (node.module or "").split(".")
            if node.level == 0 and base[0] != "recog":
                continue
            base = base + (node.module.split(".") if node.module else []) if node.level else base[1:]
            for alias in node.names:
                found = ".".join([*base, alias.name])
                target = found if found in MODULES else ".".join(base)
                if target:                                       # `from . import __version__` needs nothing
                    yield target


GRAPH = {name: {target for target in imports(name, path) if target != name} for name, path in MODULES.items()}


def layer(name):
    return LAYER[name.partition(".")[0]]


def test_the_imports_are_read_rightly():
    assert {"types", "decode.align", "decode.checks"} <= GRAPH["decode.greedy"]
    assert {"errors", "files", "types"} <= GRAPH["text"] and "corpus" in GRAPH["beginnings"] and "api" in GRAPH["__init__"]
    assert "kernels.ctc_align" in GRAPH["decode.align"] and "catalog" in GRAPH["cli"] and "noise" in GRAPH["augment"]


def test_every_file_has_a_layer():
    assert not {name for name in MODULES if name.partition(".")[0] not in LAYER}


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_downwards(name):
    upwards = {target for target in GRAPH[name] if layer(target) > layer(name)}
    assert not upwards, f"{name} (layer {layer(name)}) imports {upwards} from above"


def test_no_two_files_need_each_other():
    left = {name: set(targets) & set(GRAPH) for name, targets in GRAPH.items()}
    while free := [name for name, targets in left.items() if not targets]:
        for name in free:
            del left[name]
        for targets in left.values():
            targets.difference_update(free)
    assert not left, f"these need each other: {sorted(left)}"


def outside_functions(node):
    """The statements that run on import."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from outside_functions(child)


def test_torchaudio_is_never_imported_at_module_level():
    for path in FILES.values():
        for node in outside_functions(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
            assert not any(name.startswith("torchaudio") for name in names), f"{path}:{node.lineno}"


@pytest.mark.parametrize("name", FILES)
def test_files_are_short(name):
    assert len(FILES[name].read_text(encoding="utf-8").splitlines()) <= 320


def python(code):
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result


def names_of(*numbers):
    return sorted("recog." + name for name in MODULES if name != "__init__" and layer(name) in numbers and name != "cli")


def test_the_lowest_layers_need_no_torch():
    python(f"import importlib, sys\nfor name in {names_of(0, 1)!r}: importlib.import_module(name)\n"
           "heavy = {'torch', 'torchaudio', 'librosa', 'numba', 'sentencepiece', 'scipy', 'soundfile'} & set(sys.modules)\n"
           "assert not heavy, heavy")


def test_help_is_light():
    out = subprocess.run([sys.executable, "-X", "importtime", "-m", "recog", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert out.returncode == 0 and "transcribe" in out.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in out.stderr.splitlines() if line.startswith("import time:")}
    assert "typer" in loaded and not loaded & {"torch", "torchaudio", "rich", "numpy", "numba", "librosa", "scipy", "tensorboard"}


IMPORT_ALL = """
import importlib, io, logging, os, sys, warnings
import numpy, torch, numba, triton, typer, scipy.fft, safetensors.torch          # their own doings are not ours
opened = []
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and not arguments[0].endswith((".py", ".pyc", ".so")):
        opened.append(arguments[0])
before = (numpy.random.get_state()[1].tobytes(), torch.random.get_rng_state().numpy().tobytes(), list(logging.root.handlers),
          logging.root.level, torch.get_num_threads(), dict(os.environ), list(warnings.filters))
sys.addaudithook(watch)
for name in {names!r}:
    importlib.import_module(name)
after = (numpy.random.get_state()[1].tobytes(), torch.random.get_rng_state().numpy().tobytes(), list(logging.root.handlers),
         logging.root.level, torch.get_num_threads(), dict(os.environ), list(warnings.filters))
opened = [name for name in opened if not name.startswith("/proc") and "kernels" not in name]
assert not opened, opened
assert before == after
"""


def test_importing_does_nothing():
    result = python(IMPORT_ALL.replace("{names!r}", repr([n for n in names_of(*range(9)) if not n.endswith("__main__")])))
    assert result.stdout == result.stderr == ""
