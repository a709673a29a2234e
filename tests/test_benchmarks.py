"""Every benchmark runs, at tiny sizes, and gives rows of the right shape; how fast is asked by `python -m benchmarks`."""

import importlib
import math
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import NAMES
from benchmarks.table import Row, at_least, below, markdown, plain, ratio

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
    assert "| time | 0.5 | s | < 0.4 | NO |" in markdown(["machine   m"], {"all": rows}).splitlines()


def test_command_line(tmp_path):
    def run(*arguments):
        return subprocess.run([sys.executable, "-m", "benchmarks", *arguments], capture_output=True, text=True,
                              cwd=Path(__file__).parent.parent)

    done = run("decoding", "--quick", "--markdown", str(tmp_path / "table.md"))
    assert done.returncode == 0 and done.stdout.startswith("machine ") and "peaky, beam 100: recog" in done.stdout
    assert "## decoding" in (tmp_path / "table.md").read_text()
    assert run("nothing").returncode == 2
