"""`python -m benchmarks`: all tables, into docs/benchmarks.md; `python -m benchmarks blstm startup`: some of them."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from .table import machine, merged, plain, section

NAMES = ("blstm", "peephole", "bptt", "precision", "training", "distributed", "transcribe", "pen", "startup", "decoding", "neural", "transducer", "ngram",
         "synthesis", "mdlstm", "export", "scale")
DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def main() -> int:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")              # as the command line does, before torch is loaded
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Prints each measured value beside its bar.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which benchmarks: {', '.join(NAMES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: shows that everything runs, measures nothing")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="put each table into its section of this file as soon as it is there; "
                        f"without NAMEs: {DOCUMENT.relative_to(DOCUMENT.parents[1])}")
    parser.add_argument("--text", type=Path, metavar="PATH", help="for ngram: a text, or a folder of .txt files")
    parser.add_argument("--manifest", type=Path, metavar="FILE", action="append", help="for export: test utterances of sound or ink; may be given again")
    parser.add_argument("--utterances", type=int, metavar="N", help="for scale: how many, if not ten million")
    wanted = parser.parse_args()
    if unknown := set(wanted.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; choose from {', '.join(NAMES)}")
    document = wanted.markdown or (None if wanted.names or wanted.quick else DOCUMENT)
    tables = {}
    print("\n".join(machine()), flush=True)
    for name in wanted.names or NAMES:
        began, facts = time.monotonic(), machine()                   # the load of this moment
        also = {"ngram": {"text": wanted.text}, "export": {"manifests": wanted.manifest or []}, "scale": {"utterances": wanted.utterances}}.get(name, {})
        tables[name] = list(importlib.import_module(f"benchmarks.{name}").rows(wanted.quick, **also))
        print(f"\n{plain(name, tables[name])}", flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} seconds", file=sys.stderr, flush=True)
        if document:
            before = document.read_text(encoding="utf-8") if document.exists() else ""
            document.write_text(merged(before, name, section(name, facts, tables[name]), NAMES), encoding="utf-8")
    return int(any(row.met is False for rows in tables.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
