"""Every benchmark runs, at tiny sizes, and gives rows of the right shape; how fast is asked by `python -m benchmarks`."""

import importlib
import importlib.util
import math
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES
from benchmarks.table import Row, at_least, below, measured, merged, plain, ratio, section

DOCS = Path(__file__).parent.parent / "docs"
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("name", NAMES)
def test_quick_mode_yields_rows(name):
    if name == "export":
        pytest.importorskip("onnxruntime")
    rows = list(importlib.import_module(f"benchmarks.{name}").rows(quick=True))
    assert rows and len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert isinstance(row, Row) and row.name and math.isfinite(row.value) and row.value >= 0
        assert (row.met is None) == (row.bar == "")


def test_blstm_gives_the_numbers_of_packed_sequences():
    from benchmarks import blstm

    compared = [row for row in blstm.rows(quick=True) if "differ by" in row.name]
    assert len(compared) == 6 and all(row.met for row in compared)


def test_padding_is_bounded():
    from benchmarks import training

    assert all(row.met for row in training.rows(quick=True) if row.name.startswith("padding"))


def test_score_loads_no_torch():
    from benchmarks import startup

    (row,) = [row for row in startup.rows(quick=True) if "torch" in row.name]
    assert row.value == 0 and row.met


def test_ratio_is_the_median_within_turns():
    assert ratio([(2.0, 1.0), (30.0, 10.0), (40.0, 10.0)]) == 3.0


def test_tables():
    rows = [at_least("speed", 4.0, "times", 3.5), below("time", 0.5, "s", 0.4), Row("size", 12345.0, "MB")]
    assert plain("all", rows).splitlines() == ["all",
                                               "  speed       4 times  >= 3.5  yes",
                                               "  time      0.5 s      < 0.4   NO",
                                               "  size   12,345 MB"]
    assert "| time | 0.5 | s | < 0.4 | NO |" in section("all", ["machine   m"], rows).splitlines()


def test_a_document_is_made_in_pieces():
    order = ("one", "two", "three")
    parts = {name: section(name, [f"machine   {name}"], [Row("speed", value, "/s")]) for name, value in zip(order, (1.0, 2345.0, 3.0))}
    text = "# Title\n\nSaid by hand.\n"
    for name in ("three", "one", "two"):
        text = merged(text, name, parts[name], order)
    assert text == "\n".join(["# Title\n\nSaid by hand.\n", *parts.values()])
    again = merged(text, "two", section("two", ["machine   other"], [Row("speed", 7.0, "/s")]), order)
    assert again.splitlines()[:12] == text.splitlines()[:12] and again.endswith(parts["three"]) and "2,345" not in again
    assert measured(text, "two", "speed") == 2345 and measured(again, "two", "speed") == 7
    assert measured(text, "two", "size") is None and measured(text, "four", "speed") is None
    assert merged("", "one", parts["one"], order) == parts["one"] and merged(text, "own", "## own\n", order).endswith("\n\n## own\n")


def test_command_line(tmp_path):
    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "benchmarks", *arguments], capture_output=True, text=True,
                              cwd=Path(__file__).parent.parent)

    done = run("decoding", "--quick", "--markdown", str(tmp_path / "table.md"))
    assert done.returncode == 0 and "\nmachine " in done.stdout and "peaky, beam 100: recog" in done.stdout
    assert "## decoding" in (tmp_path / "table.md").read_text()
    assert run("nothing").returncode == 2


# --- the cost model ---


def scaling():
    spec = importlib.util.spec_from_file_location("scaling", DOCS / "scaling.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["scaling"] = module                      # dataclasses look for it there
    spec.loader.exec_module(module)
    return module


def test_the_cost_model_computes_what_its_formulas_say():
    script = scaling()
    settings = tomllib.loads((DOCS / "scaling.toml").read_text()) | {"hours": [1000], "epochs": 10}
    known = script.Facts(0.02, 16_000, 40, 4_000_000, (script.Network("same", 4_000_000), script.Network("double", 8_000_000)))
    document = section("training", [], [Row("training as in recipes/an4: end to end", 5000.0, "frames/s")])
    document += section("distributed", [], [Row("1 process", 4000.0, "frames/s"), Row("2 processes", 6000.0, "frames/s")])
    page = script.written((DOCS / "scaling.md").read_text(), settings, document, known)
    assert "| 5,000 frames/s |" in page and "| seconds of speech trained in a second | 100 |" in page
    assert "| 2 | 6,000 | 0.75 | 1.00 |" in page                          # 16 MB at 10 GB/s are 1.6 ms of a step of 4 s
    assert "| the machine of the benchmark, all its cores | same | 4.2 days |" in page          # 36,000,000 / 100 s
    assert "| the machine of the benchmark, all its cores | double | 8.3 days |" in page
    assert f"| one NVIDIA H200 | same | {36e6 / 0.02 * 6 * 4e6 / (989e12 * 0.03) / 60:.0f} minutes |" in page
    assert "| features, 4 bytes a value | 0.06 TB |" in page
    assert script.efficiency(2, 16_000, 4000.0, 4_000_000, 0.008) == pytest.approx(1 / 1.5)
    assert script.duration(3600 * 50) == "2.1 days" and script.duration(600) == "10 minutes"
    assert page == script.written(page, settings, document, known)


def test_the_cost_model_says_what_is_not_measured():
    script = scaling()
    settings = tomllib.loads((DOCS / "scaling.toml").read_text())
    page = script.written((DOCS / "scaling.md").read_text(), settings, "", script.facts(settings))
    assert page.count(script.MISSING) > 8 and "| one NVIDIA H200 | 5 x 512 |" in page


def test_the_cost_model_is_up_to_date():
    script = scaling()
    settings, page = tomllib.loads((DOCS / "scaling.toml").read_text()), (DOCS / "scaling.md").read_text()
    assert script.written(page, settings, (DOCS / "benchmarks.md").read_text(), script.facts(settings)) == page, "run python docs/scaling.py"
