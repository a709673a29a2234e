"""The command line's manners: one line on stderr for a mistake, exit statuses, nothing on stdout but results."""

import pytest

import cli
from recog import catalog


def called(monkeypatch, capsys, *arguments):
    """Exit status, stdout and stderr of `recog ARGUMENTS`, in this process."""
    monkeypatch.setattr("sys.argv", ["recog", *map(str, arguments)])
    try:
        cli.run_app()
        status = 0
    except SystemExit as error:
        status = error.code or 0
    return status, *capsys.readouterr()


def test_a_mistake_is_one_line_and_exit_1(monkeypatch, capsys, tmp_path):
    status, out, err = called(monkeypatch, capsys, "run", "tones", "--exp", tmp_path / "exp", "--set", "encoder.layer=5")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("recog: ") and "encoder.layer: unknown setting (did you mean 'layers'?)" in err
    assert not list(tmp_path.iterdir())


def test_debug_shows_where_it_came_from(monkeypatch, capsys, tmp_path):
    with pytest.raises(Exception, match="encoder.layer"):
        called(monkeypatch, capsys, "--debug", "run", "tones", "--exp", tmp_path, "--set", "encoder.layer=5")


@pytest.mark.parametrize("arguments", [["run"], ["run", "tones", "--no-such-option"], ["no-such-verb"], ["score", "a"]])
def test_wrong_usage_is_exit_2(monkeypatch, capsys, arguments):
    status, out, err = called(monkeypatch, capsys, *arguments)
    assert (status, out) == (2, "") and "Traceback" not in err and err


def test_results_go_to_stdout(monkeypatch, capsys):
    status, out, err = called(monkeypatch, capsys, "recipes", "list")
    assert (status, err) == (0, "") and "tones" in out
    assert called(monkeypatch, capsys, "--version")[1].strip() == cli.__version__


def interrupted(*_):
    raise KeyboardInterrupt


def test_an_interruption_is_exit_130(monkeypatch, capsys):
    monkeypatch.setattr(catalog, "list_recipes", interrupted)
    status, out, err = called(monkeypatch, capsys, "recipes", "list")
    assert (status, out) == (130, "") and "Traceback" not in err


def test_an_interruption_says_how_to_go_on(monkeypatch, capsys):
    monkeypatch.setattr(catalog, "list_recipes", interrupted)
    assert "run the same command again" in called(monkeypatch, capsys, "recipes", "list")[2]
