"""Writes the results table of README.md from the RESULTS.md of every recipe: `python docs/results.py`.

Of each model file, the newest run is shown: the rows that were recorded last by one and the same command.
"""

from pathlib import Path

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- results -->\n", "<!-- end -->"


def table() -> str:
    rows = []
    for path in sorted((ROOT / "recipes").glob("*/RESULTS.md")):
        newest: dict[str, tuple[tuple[str, str], list[str]]] = {}      # by command: the run (name and training), its rows
        for line in path.read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if line.startswith("| 2"):
                _, model, weights, split, decoder, error, training, machine, command = cells
                if newest.get(command, (None,))[0] != (model, training):
                    newest[command] = (model, training), []
                newest[command][1].append(f"| [{path.parent.name}](recipes/{path.parent.name}/RESULTS.md) | {model} | {weights} | {split} | "
                                          f"{decoder} | {error} | {training} |\n")
        rows += [row for _, found in newest.values() for row in found]
    head = "| recipe | model | weights | split | decoder | error, % | training |\n|---|---|---:|---|---|---|---|\n"
    return head + "".join(rows) if rows else "See `RESULTS.md` in each folder of `recipes/`.\n"


def main() -> None:
    path = ROOT / "README.md"
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    path.write_text(before + BEGIN + table() + END + rest.split(END, 1)[1], encoding="utf-8")


if __name__ == "__main__":
    main()
