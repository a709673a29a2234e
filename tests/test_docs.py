"""What the documentation says is run, or at least parsed: commands, options, Python, TOML, tables, links."""

import ast
import importlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import typer

import cli
from recog import audio, modeldir
from recog.config import build
from recog.experiment import Experiment
from recog.recipe import RecipeConfig
from recog.stages import run_recipe
from recog.testing import tone
from recog.types import Waveform

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
OTHERS = {"--no-deps"}                       # options of other programs
BUNDLED = "english_small" in modeldir.bundled()
needs_model = pytest.mark.skipif(not BUNDLED, reason="no model is bundled yet")

GROUP = typer.main.get_command(cli.app)


def blocks(page, *kinds):
    return [text for kind, text in FENCE.findall(page.read_text(encoding="utf-8")) if kind in kinds]


def names(pages):
    return [str(page.relative_to(ROOT)) for page in pages]


def each_block(*kinds):
    found = [(page, text) for page in PAGES for text in blocks(page, *kinds)]
    ids = [f"{name}-{i}" for i, name in enumerate(names(page for page, _ in found))]
    return pytest.mark.parametrize("page, text", found, ids=ids)


def script(name):
    """A script of docs/, as a module."""
    path = ROOT / "docs" / name
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- commands ---


def commands(text):
    """(arguments of recog, the file that its output goes to or None) of each command in a shell block."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\|\||[|;]", line.split(" #")[0]):
            words = shlex.split(part, comments=True)
            if words and Path(words[0]).name == "recog":
                target = words[words.index(">") + 1] if ">" in words else None
                yield words[1:words.index(">") if ">" in words else None], target


COMMANDS = [(name, arguments) for page, name in zip(PAGES, names(PAGES)) for text in blocks(page, "console", "sh")
            for arguments, _ in commands(text)]


def verb(arguments):
    """The command that these arguments name, as typer has it, and the arguments that are left."""
    group, rest = GROUP, list(arguments)
    while hasattr(group, "commands"):
        group, rest = group.commands[rest[0]], rest[1:]
    return group, rest


@pytest.mark.parametrize("name, arguments", COMMANDS, ids=[f"{name}: {' '.join(a)[:50]}" for name, a in COMMANDS])
def test_every_command_parses(name, arguments):
    command, rest = verb(arguments)
    command.make_context(command.name, rest)             # raises for an unknown option and a missing argument


def test_the_pages_hold_commands():
    verbs = {arguments[0] for _, arguments in COMMANDS}
    assert {"run", "transcribe", "score", "inspect", "recipes"} <= verbs and len(COMMANDS) > 20


def options(command):
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


def every_option(command=GROUP):
    return options(command).union(*(every_option(sub) for sub in getattr(command, "commands", {}).values()))


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_every_option_and_verb_in_the_text_exists(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    known = every_option() | OTHERS
    for code in CODE.findall(text):
        if code.startswith("recog "):
            words = shlex.split(code)[1:]
            if words[0].startswith("-"):
                continue
            command, rest = verb(words)
            assert {word for word in rest if word.startswith("--")} <= options(command), code
        assert {word for word in re.findall(r"(?<!\S)--[a-z][a-z0-9-]+", code)} <= known, code


def desk(folder):
    """A folder in which the README's commands can be run."""
    for name in ("samples", "ink", "images"):
        shutil.copytree(ROOT / "data" / name, folder / "data" / name)
    rows = (ROOT / "data" / "samples" / "manifest.jsonl").read_text().splitlines()
    pairs = [re.search(r'"id": "(.*?)".*"text": "(.*?)"', row).groups() for row in rows]
    (folder / "other.tsv").write_text("".join(f"{id}\t{text}\n" for id, text in pairs))
    return folder


@needs_model
def test_the_readme_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(desk(tmp_path))
    monkeypatch.setenv("RECOG_STYLES", str(tmp_path / "styles"))
    for text in blocks(ROOT / "README.md", "sh", "console"):
        for arguments, target in commands(text):
            if arguments[0] == "run" or any(word.startswith("exp/") for word in arguments):
                continue
            if "onnx" in arguments and importlib.util.find_spec("onnxruntime") is None:
                continue
            assert cli.app(arguments, standalone_mode=False) in (0, None), arguments
            said = capsys.readouterr().out
            if target:
                Path(target).write_text(said)
    assert len(Path("heard.tsv").read_text().splitlines()) == len(Path("other.tsv").read_text().splitlines())
    assert len(list(Path("out").glob("*.vtt"))) == len(Path("other.tsv").read_text().splitlines())


def test_the_score_in_formats_is_what_score_says(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    for name, text in re.findall(r"^`(\w+\.tsv)`:\n\n```text\n(.*?)^```$", page, re.DOTALL | re.MULTILINE):
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    shown = re.compile(r"^```console\n(recog score .*?)```\n\n```output\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    (command, output), = shown.findall(page)
    (arguments, _), = commands(command)
    cli.app(arguments, standalone_mode=False)
    assert capsys.readouterr().out == output


# --- set-up ---


def test_the_readme_has_two_set_up_commands_of_one_line():
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## Set up")[1].split("\n## ")[0]
    lines = [text.strip() for _, text in FENCE.findall(section)]
    assert len(lines) == 2 and not any("\n" in line for line in lines)
    assert all(line.startswith("python3.11 -m venv ") for line in lines)
    assert lines[0].endswith("recog transcribe data/samples data/ink") and lines[1].endswith("-m pytest")


def test_ci_runs_the_readme_s_test_command():
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (pattern,) = re.findall(r"grep -E '(.*?)' README.md", run)
    (line,) = re.findall(pattern, (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert "[test]" in line
    assert subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")]).returncode == 0


# --- Python and TOML ---


@each_block("python")
def test_python_examples(page, text, tmp_path, monkeypatch):
    tree = ast.parse(text)
    compile(text, str(page), "exec")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names), node.module
        elif isinstance(node, ast.Import):
            for alias in node.names:
                importlib.import_module(alias.name)
    if "recog.load" in text and not BUNDLED:
        pytest.skip("compiled; no model is bundled yet")
    monkeypatch.chdir(desk(tmp_path))
    exec(compile(text, str(page), "exec"), {"__name__": "example"})


@each_block("toml")
def test_toml_examples(page, text):
    table = tomllib.loads(text)
    if "description" in table:
        assert all(type(count) is int for count in table.pop("expect", {}).values())
        build(RecipeConfig, table, where=page)
    else:
        table.setdefault("encoder", {"kind": "blstm"})           # an example may show other sections only
        build(Experiment, table, where=page)


@each_block("json")
def test_json_examples(page, text):
    decoder, at = json.JSONDecoder(), 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        _, at = decoder.raw_decode(text, at)


# --- the tour ---


def test_the_tour_names_files_that_exist():
    text = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    for name in {word for names in re.findall(r"<!-- files: (.*?) -->", text) for word in names.split() if word != "*"}:
        assert (ROOT / name).is_file(), name
    for name in re.findall(r"`([\w/]+\.py)`", text):
        places = (ROOT / name, ROOT / "recog" / name, *(ROOT / "recipes").glob(f"*/{name}"))
        assert any(place.is_file() for place in places), name


def test_the_tables_of_the_tour_are_up_to_date():
    text = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    row = re.compile(r"^\| \[`(.*?)`\].*? \| (\d+) \|", re.MULTILINE)
    there = {name: int(lines) for name, lines in row.findall(text)}
    now = {name: int(lines) for name, lines in row.findall(script("tour.py").written(text))}
    again = "run python docs/tour.py"
    assert there.keys() == now.keys(), again
    assert not [name for name, lines in now.items() if abs(there[name] - lines) > max(3, 0.15 * lines)], again


# --- a new corpus ---


def recipe_files():
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    return page, re.findall(r"^`recipes/memos/(\S+)`:\n\n```\w+\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def test_the_recipe_for_a_new_corpus_is_short():
    page, files = recipe_files()
    lines = sum(len(text.splitlines()) for _, text in files)
    assert len(files) == 3 and lines < 50
    assert f"all that has to be written, {lines} lines." in page


def test_the_recipe_for_a_new_corpus_runs(tmp_path, one_thread):
    for name, text in recipe_files()[1]:
        path = tmp_path / "recipes" / "memos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    corpus = tmp_path / "memos"
    rows = ["file,speaker,text"]
    for speaker in range(9):
        for number, text in enumerate(("ab c", "b a", "c")):
            sound = np.concatenate([tone(character) for character in text]).astype(np.float32)
            (corpus / "clips").mkdir(parents=True, exist_ok=True)
            audio.write(corpus / "clips" / f"s{speaker}-{number}.wav", Waveform(sound, 16000))
            rows.append(f"s{speaker}-{number}.wav,speaker{speaker},{text}")
    (corpus / "transcripts.csv").write_text("\n".join(rows) + "\n")
    quick = ["train.epochs=1", "encoder.layers=1", "encoder.units=8"]
    recipe = str(tmp_path / "recipes" / "memos")
    table = run_recipe(recipe, corpus, None, quick, tmp_path / "exp", None, "score", None, False)
    assert table.startswith("memos: best of 1 epochs") and "WER %" in table and "\ntest " in table


# --- model cards ---


def test_a_card_s_figures_come_from_the_model():
    card = script("models/card.py")
    figures = {"error_rate": 0.05, "interval": [0.04, 0.06], "errors": 5, "tokens": 100, "utterances": 20}
    info = {"weights": 1234567, "files": {"weights.safetensors": {"bytes": 4_900_000}}, "data_licence": "free",
            "provenance": {}, "scores": {"test": {"beam": {"word": figures, "char": {**figures, "interval": None}}}}}
    text = card.written("# M\n<!-- figures -->\nold\n<!-- end -->\nend\n", info)
    assert text.startswith("# M\n<!-- figures -->\n") and text.endswith("<!-- end -->\nend\n") and "old" not in text
    assert "| test | 20 | beam | WER 5.00 % | 4.00 to 6.00 % | 5 of 100 |" in text
    assert "| test | 20 | beam | CER 5.00 % | - | 5 of 100 |" in text
    assert "1,234,567, 4.9 MB on disk" in text
    assert card.written(text, info) == text


@needs_model
def test_a_card_of_a_network_that_writes_has_nats():
    info = {"medium": "writing", "weights": 10, "files": {}, "scores": {"dev": {"network": {"nats": -512.34, "squares": 0.2718, "lines": 7}}}}
    text = script("models/card.py").written("<!-- figures -->\n<!-- end -->\n", info)
    assert "| dev | 7 | -512.3 | 0.272 |" in text and "decoder" not in text


def test_the_bundled_models_have_cards_that_are_up_to_date():
    card = script("models/card.py")
    for name in modeldir.bundled():
        page = ROOT / "docs" / "models" / f"{name}.md"
        text = page.read_text(encoding="utf-8")
        info = modeldir.described(modeldir.locate(name))
        assert card.written(text, info) == text, f"run python docs/models/card.py {name} {page.relative_to(ROOT)}"


# --- links, notes ---


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_somewhere(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", text):
        if "://" not in target:
            assert (page.parent / target).exists(), target


def test_decisions_are_dated_notes():
    notes = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert notes
    for note in notes:
        date = re.match(r"(\d{4}-\d{2}-\d{2})-[a-z-]+\.md$", note.name)
        assert date and note.read_text(encoding="utf-8").startswith(f"# {date[1]}: "), note.name


def test_the_card_script_says_what_it_needs():
    command = [sys.executable, str(ROOT / "docs" / "models" / "card.py")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 1 and "give a model folder" in done.stderr
