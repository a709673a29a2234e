"""The verbs of the command line. Each parses, calls one function and prints; no logic lives here."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from recog import __version__
from recog.lmverbs import lm_app
from recog.writeverbs import style_app, synthesize

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
                  help="Sequence recognition and generation with recurrent networks: speech and handwriting to text, text to handwriting.")
models_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, show, export and prune models.")
recipes_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List and copy the recipes that come with recog.")
ink_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Files of pen strokes.")
app.add_typer(lm_app, name="lm")
app.add_typer(style_app, name="style")
app.add_typer(ink_app, name="ink")
app.add_typer(models_app, name="models")
app.add_typer(recipes_app, name="recipes")
app.command()(synthesize)

Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Format = Annotated[str, typer.Option("--format", "-f", help="text, json, jsonl, tsv; of sound srt, vtt, ctm; of images page, alto.")]
Nproc = Annotated[Optional[int], typer.Option(help="Processes that share the work; on GPUs one each.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, or auto.")]


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A recipe folder, or the name of one that comes with recog.")],
    corpus: Annotated[Optional[Path], typer.Option(help="The folder that holds the corpus.")] = None,
    model: Annotated[Optional[str], typer.Option(help="Which models/NAME.toml; default: the recipe's own choice.")] = None,
    set_: Annotated[Optional[list[str]], typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override a setting.")] = None,
    exp: Annotated[Path, typer.Option(help="Where results go.")] = Path("exp"),
    name: Annotated[Optional[str], typer.Option(help="Name of this run; default: the model's.")] = None,
    until: Annotated[str, typer.Option(help="Stop after: prepare, features, units, train, decode or score.")] = "score",
    record: Annotated[bool, typer.Option("--record", help="Add the result to the recipe's RESULTS.md.")] = False,
    from_: Annotated[Optional[str], typer.Option("--from", metavar="STAGE", help="Do this stage anew, and those after it.")] = None,
    nproc: Nproc = None,
    shard: Annotated[Optional[str], typer.Option(metavar="K/N", help="With --until features or decode: only the Kth of N parts of that stage.")] = None,
) -> None:
    """Run a recipe: from a corpus to a scored table. Run again to resume."""
    from recog.launch import launched
    from recog.stages import run_recipe

    for line in launched(nproc, run_recipe, recipe, corpus, model, set_ or [], exp, name, until, from_, record, shard).splitlines():
        print(line)


@app.command()
def transcribe(
    files: Annotated[list[str], typer.Argument(help="Files of sound, ink or images, folders, patterns, or - for standard input.")],
    model: Annotated[Optional[str], typer.Option("--model", "-m", help="A bundled model's name or a model folder.")] = None,
    format: Format = "text",
    nbest: Annotated[int, typer.Option(help="Answers per file (json and jsonl show them).")] = 1,
    decoder: Annotated[Optional[str], typer.Option(help="greedy, beam or prefix; default: the model's own.")] = None,
    beam: Annotated[Optional[int], typer.Option(help="Width of the beam.")] = None,
    lm: Annotated[Optional[str], typer.Option(help="For the beam: an ARPA or KenLM binary file, a network's folder, or none.")] = None,
    lm_weight: Annotated[Optional[float], typer.Option(help="What the language model counts.")] = None,
    length_bonus: Annotated[Optional[float], typer.Option(help="Nats for each unit, against short answers.")] = None,
    word_bonus: Annotated[Optional[float], typer.Option(help="Nats for each word, with a language model or lexicon.")] = None,
    phrases: Annotated[Optional[str], typer.Option(metavar="FILE", help="Names and words to listen for, one to a line.")] = None,
    boost: Annotated[Optional[float], typer.Option(help="Nats that each letter of the phrases gains.")] = None,
    lexicon: Annotated[Optional[str], typer.Option(metavar="FILE", help="More words and their phones, in the CMU format.")] = None,
    lines: Annotated[bool, typer.Option("--lines", help="Images are pages of several lines.")] = False,
    output_dir: Annotated[Optional[Path], typer.Option("--output-dir", "-o", help="Write one file per input into this folder.")] = None,
    output: Annotated[Optional[Path], typer.Option(metavar="FILE", help="Write all into this file; killed, run again to go on.")] = None,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Leave out inputs whose output is there already.")] = False,
    jobs: Annotated[Optional[int], typer.Option(min=1, help="Processes at once; default: all cores, for many files.")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Raw samples (16-bit, mono) from -: show what is heard as it settles.")] = False,
    rate: Annotated[Optional[int], typer.Option(help="Samples a second of the stream; default: the model's.")] = None,
    device: Device = "auto",
    nproc: Nproc = None,
    shard: Annotated[Optional[str], typer.Option(metavar="K/N", help="Only the Kth of N parts of the inputs, for as many jobs side by side.")] = None,
    force: Force = False,
) -> None:
    """Write down what is said in each file, or in a stream while it is heard."""
    options = {"nbest": nbest, "decoder": decoder, "beam": beam, "lm": lm, "lm_weight": lm_weight, "length_bonus": length_bonus,
               "word_bonus": word_bonus, "phrases": phrases, "boost": boost, "lexicon": lexicon, "lines": lines}
    from recog.bulk import check_options, transcribe_files
    from recog.launch import launched
    from recog.live import transcribe_stream

    check_options(stream, rate, output_dir, skip_existing, output, jobs, bool(nproc or shard))
    if stream:
        raise typer.Exit(transcribe_stream(files, model, format, options, rate, device))
    raise typer.Exit(launched(nproc, transcribe_files, files, model, format, options, output_dir, skip_existing, force, device, output, jobs, shard))


@app.command()
def align(
    sound: Annotated[str, typer.Argument(metavar="FILE", help="A sound or ink file, a folder or pattern of them, or a manifest (.jsonl).")],
    text: Annotated[Optional[str], typer.Argument(help="The words, a .txt file; for several sounds .tsv, .trn or .jsonl: text by id.")] = None,
    model: Annotated[Optional[str], typer.Option("--model", "-m", help="A bundled model's name or a model folder; default: by what FILE holds.")] = None,
    format: Annotated[Optional[str], typer.Option("--format", "-f", help="ctm, textgrid, json or tsv; default: ctm, of ink tsv.")] = None,
    method: Annotated[str, typer.Option(help="posterior (all paths, by their probability) or best (the best path).")] = "posterior",
    output: Annotated[Optional[Path], typer.Option("--output", "-o", help="A file, or for TextGrids of several sounds a folder.")] = None,
    score: Annotated[Optional[Path], typer.Option(help="TIMIT's .phn file, or a folder of them: show how far boundaries are off.")] = None,
    device: Device = "auto",
    force: Force = False,
) -> None:
    """Find where each word and unit of a known text lies in its recording, or in its ink."""
    from recog.aligntool import align_files

    raise typer.Exit(align_files(sound, text, model, format, method, output, score, device, force))


@app.command()
def score(
    reference: Annotated[Path, typer.Argument(help="What was said: .tsv, .trn or .jsonl.")],
    hypothesis: Annotated[Path, typer.Argument(help="What was recognized: .tsv, .trn or .jsonl.")],
    unit: Annotated[str, typer.Option(help="word, char or phone.")] = "word",
    fold: Annotated[Optional[str], typer.Option(help="Fold phones by a table, such as timit, and score by all silence customs.")] = None,
    compare: Annotated[Optional[Path], typer.Option(help="A second hypothesis, compared with the first.")] = None,
    seeds: Annotated[Optional[list[Path]], typer.Option(help="The same system trained with another seed; may be given again.")] = None,
    alignments: Annotated[bool, typer.Option("--alignments", help="Show every utterance aligned.")] = False,
    format: Annotated[str, typer.Option("--format", "-f", help="text or json.")] = "text",
    seed: Annotated[int, typer.Option(help="Of the bootstrap's draws.")] = 0,
) -> None:
    """Count the errors of a hypothesis file against a reference, paired by id."""
    from recog.scoring import score_and_render

    print(score_and_render(reference, hypothesis, compare, seeds or [], unit, fold, seed, alignments, format))


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="A sound or ink file, a manifest, a model folder or a run's folder.")],
    plot: Annotated[Optional[Path], typer.Option(metavar="PNG", help="Of ink: draw how the model reads it, or how one that writes follows it.")] = None,
    model: Annotated[Optional[str], typer.Option("--model", "-m", help="For --plot: a bundled model's name or a model folder; default: pen.")] = None,
    text: Annotated[Optional[str], typer.Option(help="For --plot and a model that writes: what the ink says.")] = None,
    force: Force = False,
) -> None:
    """Say what a file or folder holds."""
    from recog.inspection import describe

    print(describe(path))
    if plot is not None or model is not None or text is not None:
        from recog.inkplot import picture

        picture(path, plot, model, text, force)


@app.command()
def doctor() -> None:
    """Check the installation, and name the fix for what is wrong."""
    from recog.doctor import examine

    raise typer.Exit(examine(print))


@ink_app.command("convert")
def ink_convert(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="InkML, UNIPEN, JSON, SVG, or IAM-OnDB's XML.")],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="What its suffix says: .inkml, .json, .svg or .png.")],
    force: Force = False,
) -> None:
    """Write ink in another format."""
    from recog.ink import convert

    convert(source, output, force)


@ink_app.command("render")
def ink_render(
    sources: Annotated[list[str], typer.Argument(metavar="SOURCE", help="Files or folders of ink; or one manifest of ink (.jsonl).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A folder; of one file also a name that ends in .png.")],
    seed: Annotated[int, typer.Option(min=0, help="Of pen, paper and noise.")] = 0,
    height: Annotated[Optional[float], typer.Option(help="Of small letters, in pixels.")] = None,
    clean: Annotated[bool, typer.Option("--clean", help="Black on white, by an even pen.")] = False,
    force: Force = False,
) -> None:
    """Draw ink as a scanner would see it: images, or of a manifest a tree in IAM-DB's layout. Run again to resume."""
    from recog.rendering import render

    raise typer.Exit(render(sources, output, seed, height, clean, force))


@models_app.command("list")
def models_list() -> None:
    """The models that come with recog."""
    from recog.catalog import list_models

    print(list_models())


@models_app.command("show")
def models_show(model: Annotated[str, typer.Argument(help="A bundled model's name or a model folder.")]) -> None:
    """A model's settings, provenance, scores and data licence, as JSON."""
    from recog.catalog import show_model

    print(json.dumps(show_model(model), indent=2, ensure_ascii=False))


@models_app.command("export")
def models_export(
    model: Annotated[str, typer.Argument(help="A bundled model's name or a model folder.")],
    folder: Annotated[Path, typer.Argument(help="The new folder.")],
    half: Annotated[bool, typer.Option("--half", help="Store the weights in 16 bits: half the size.")] = False,
    name: Annotated[Optional[str], typer.Option(help="A new name.")] = None,
    to: Annotated[Optional[str], typer.Option(help="For programs without recog: onnx or torchscript.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="With --to: weights in 8 bits, a quarter of the size.")] = False,
    force: Force = False,
) -> None:
    """Copy a model to a folder of its own, with digests made anew; or with --to write its networks for other programs."""
    from recog.catalog import export_model

    if said := export_model(model, folder, half, name, force, to, int8):
        print(said)


@models_app.command("join")
def models_join(
    models: Annotated[list[str], typer.Argument(help="Bundled models' names or model folders, of one recipe; the first one's settings count.")],
    folder: Annotated[Path, typer.Option("--output", "-o", help="The new model folder.")],
    half: Annotated[bool, typer.Option("--half", help="Store the weights in 16 bits: half the size.")] = False,
    name: Annotated[Optional[str], typer.Option(help="A new name.")] = None,
    force: Force = False,
) -> None:
    """Models that read together: what each finds is put in order by all."""
    from recog.ensemble import join

    join(models, folder, name, half, force)


@models_app.command("prune")
def models_prune(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a finished run, exp/RECIPE/MODEL.")],
    keep: Annotated[str, typer.Option(help="Percentages of the weights.")] = "100,50,20,10,5,2,1",
    split: Annotated[Optional[str], typer.Option(help="What it is judged on; default: the development set.")] = None,
    by: Annotated[str, typer.Option(help="noise: weights that stand out of their learned noise are kept; size: large ones.")] = "noise",
) -> None:
    """Error against weights kept, as a table and a curve (RUN/pruning/)."""
    from recog.pruning import prune_run

    print(prune_run(folder, keep, split, by))


@recipes_app.command("list")
def recipes_list() -> None:
    """The recipes that come with recog."""
    from recog.catalog import list_recipes

    print(list_recipes())


@recipes_app.command("copy")
def recipes_copy(name: Annotated[str, typer.Argument(help="A recipe's name.")],
                 folder: Annotated[Path, typer.Argument(help="The new folder.")]) -> None:
    """Copy a recipe, to be changed."""
    from recog.recipe import copy

    print(copy(name, folder))


@app.callback(invoke_without_command=True)
def main(version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
         debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False) -> None:
    if version:
        print(__version__)
        raise typer.Exit()


def run_app() -> None:
    """A user's mistake is one line on stderr and exit 1; usage 2; interrupted 130."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")    # torch's idle threads would else spin, on the cores of those that work
    for cache in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):      # of oneDNN: batches of ever new lengths fill them, with 4 MB a step
        os.environ.setdefault(cache, "64")                 # in mixed precision, until memory is short at their own 1024
    from recog.errors import RecogError

    try:
        app()
    except RecogError as error:
        if "--debug" in sys.argv:
            raise
        print(f"recog: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:
        sys.stderr.close()               # the reader went away, as `head` does
        sys.exit(0)
    except OSError as error:             # a full disk, no permission: said by the system, not by us
        if "--debug" in sys.argv:
            raise
        print(f"recog: {error.filename or 'file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as end:
        if end.code == 130:              # how typer passes Ctrl-C on
            print("recog: interrupted; run the same command again to go on", file=sys.stderr)
        raise
