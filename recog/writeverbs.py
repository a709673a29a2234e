"""The verb `synthesize`, and those of the command `style`. Each parses, calls one function and prints; no logic lives here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Optional

import typer

style_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Keep, show and compare hands to write in.")

Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Model = Annotated[str, typer.Option("--model", "-m", help="A bundled model's name or a model folder.")]
Bias = Annotated[Optional[float], typer.Option(help="0: as people write; 5: the neatest; default: 0.75.")]
Seed = Annotated[Optional[int], typer.Option(help="Another one writes otherwise; default: 1.")]


def synthesize(
    output: Annotated[Path, typer.Option("--output", "-o", help="A new file: .svg, .gif, .png, .inkml, .json or .gcode.")],
    text: Annotated[Optional[str], typer.Argument(metavar="TEXT", help="What to write, a .txt file, or - for standard input.")] = None,
    bias: Bias = None,
    seed: Seed = None,
    style: Annotated[Optional[str], typer.Option(help="A hand of `recog style list`, or a file of one.")] = None,
    strength: Annotated[Optional[float], typer.Option(help="The share of the style's ink that is followed; default: 1.")] = None,
    width: Annotated[Optional[int], typer.Option(help="Characters in a line, at most; default: 60.")] = None,
    samples: Annotated[int, typer.Option(help="So many versions, one below the other.")] = 1,
    tries: Annotated[Optional[int], typer.Option(help="Times that a line which cannot be read is drawn, at most; default: 5.")] = None,
    check: Annotated[bool, typer.Option(help="Read each line back.")] = True,
    reader: Annotated[Optional[str], typer.Option(help="The model that reads it back; default: pen.")] = None,
    transliterate: Annotated[bool, typer.Option("--transliterate", help="Write others for characters that the model cannot write.")] = False,
    nib: Annotated[bool, typer.Option("--nib", help="SVG: lines are the wider the slower the pen.")] = False,
    animate: Annotated[bool, typer.Option("--animate", help="SVG: strokes appear as they were written.")] = False,
    free: Annotated[bool, typer.Option("--free", help="No text: what a network of prediction likes.")] = False,
    points: Annotated[Optional[int], typer.Option(help="With --free: points of the pen's way; default: 700.")] = None,
    model: Model = "hand",
    force: Force = False,
) -> None:
    """Write a text by hand."""
    from recog.synthesis import Order, synthesize_files

    order = Order(text, output, model, samples, style, reader, check, points, free, nib, animate, force)
    options = given(bias=bias, seed=seed, strength=strength, width=width, tries=tries, transliterate=transliterate or None)
    raise typer.Exit(synthesize_files(order, options))


def given(**options: Any) -> dict[str, Any]:
    """The options that were given: the others are what recog.writing.writer.WriteOptions says."""
    return {name: value for name, value in options.items() if value is not None}


@style_app.command("add")
def style_add(
    ink: Annotated[Path, typer.Argument(metavar="INK", help="A line of ink, as InkML, JSON, SVG or UNIPEN.")],
    text: Annotated[str, typer.Option(help="What it says, all of it.")],
    name: Annotated[Optional[str], typer.Option(help="What to call it; default: as the file.")] = None,
    model: Model = "hand",
    force: Force = False,
) -> None:
    """Keep a hand to write in: ink, and what it says."""
    from recog.synthesis import add_style

    print(add_style(ink, text, name, model, force))


@style_app.command("list")
def style_list() -> None:
    """The hands that there are."""
    from recog.synthesis import list_styles

    print(list_styles())


@style_app.command("show")
def style_show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A style's name or file.")],
    output: Annotated[Optional[Path], typer.Option("--output", "-o", help="Draw it: .svg, .png, .inkml or .json.")] = None,
    force: Force = False,
) -> None:
    """What a style says, and its ink."""
    from recog.synthesis import show_style

    print(show_style(name, output, force))


@style_app.command("compare")
def style_compare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A style's name or file.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to write in it.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A picture: .svg or .png.")],
    bias: Bias = None,
    seed: Seed = None,
    model: Model = "hand",
    force: Force = False,
) -> None:
    """A style's own ink, and below it a text written in that style."""
    from recog.synthesis import compare_style

    compare_style(name, text, output, model, given(bias=bias, seed=seed), force)
