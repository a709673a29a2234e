"""Rewrite the tables of files in docs/tour.md: `python docs/tour.py`.

Between `<!-- files: A B ... -->` and `<!-- end -->` stands a table of the files A, B, ... with the number of their lines
and the first sentence of their docstring. `<!-- files: * -->` stands for all files of recog/ that no other table names.
"""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
TOUR, ROOT = HERE / "tour.md", HERE.parent
BLOCK = re.compile(r"(<!-- files: (.*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def written(text: str) -> str:
    """The text of the tour with its tables made anew."""
    listed = [name for _, names, _ in BLOCK.findall(text) for name in names.split()]
    return BLOCK.sub(lambda block: block[1] + table(names_in(block[2], listed)) + block[3], text)


def names_in(names: str, listed: list[str]) -> list[str]:
    if names.split() != ["*"]:
        return names.split()
    every = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "recog").rglob("*.py") if p.stat().st_size)
    return [name for name in every if name not in listed]


def table(names: list[str]) -> str:
    counts = {name: len((ROOT / name).read_text(encoding="utf-8").splitlines()) for name in names}
    rows = [f"| [`{name}`](../{name}) | {count} | {first_sentence(ROOT / name)} |" for name, count in counts.items()]
    rows.append(f"| {len(names)} files | {sum(counts.values())} | |")
    return "\n".join(["", "| file | lines | what it is |", "|---|---:|---|", *rows, "", ""])


def first_sentence(path: Path) -> str:
    """Of a Python file's docstring; a TOML file says it in `description`."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        return tomllib.loads(text).get("description", "A model and how it is trained and decoded.")
    said = (ast.get_docstring(ast.parse(text)) or "").split("\n\n")[0]
    return re.split(r"(?<=\.)\s+(?=[A-Z])", " ".join(said.split()))[0].replace("|", "\\|")


if __name__ == "__main__":
    TOUR.write_text(written(TOUR.read_text(encoding="utf-8")), encoding="utf-8")
