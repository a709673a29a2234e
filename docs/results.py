"""Writes the results table of README.md from the RESULTS.md of every recipe: `python docs/results.py`.

Of each recipe, the newest run of the model file that is run by default is shown; all runs stand in RESULTS.md.
"""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- results -->\n", "<!-- end -->"


def table() -> str:
    rows = []
    for path in sorted((ROOT / "recipes").glob("*/RESULTS.md")):
        default = tomllib.loads((path.parent / "recipe.toml").read_text(encoding="utf-8")).get("model", "ctc")
        newest: tuple[str, dict[tuple[str, str], str]] = "", {}             # a run's name, its rows by split and decoder
        for line in path.read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if line.startswith("| 2") and f"--model {default} " in cells[-1].replace("`", " "):
                _, model, weights, split, decoder, error, training, _, _ = cells
                if newest[0] != model or (split, decoder) in newest[1]:     # recorded anew
                    newest = model, {}
                newest[1][split, decoder] = (f"| [{path.parent.name}](recipes/{path.parent.name}/RESULTS.md) | {model} | {weights} | {split} | "
                                             f"{decoder} | {error} | {training} |\n")
        rows += newest[1].values()
    head = "| recipe | model | weights | split | decoder | error, % | training |\n|---|---|---:|---|---|---|---|\n"
    return head + "".join(rows) if rows else "See `RESULTS.md` in each folder of `recipes/`.\n"


def main() -> None:
    path = ROOT / "README.md"
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    path.write_text(before + BEGIN + table() + END + rest.split(END, 1)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
