"""Writes the tables of docs/scaling.md from docs/scaling.toml and docs/benchmarks.md: `python docs/scaling.py`.

Measured figures come from docs/benchmarks.md alone; what is not there yet is shown as not measured.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))                # benchmarks/ is not installed

from benchmarks.table import measured        # noqa: E402

PAGE, SETTINGS, DOCUMENT = (ROOT / "docs" / name for name in ("scaling.md", "scaling.toml", "benchmarks.md"))
BLOCK = re.compile(r"(<!-- computed: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
MISSING = "not measured yet"


@dataclass(frozen=True)
class Network:
    """One of the networks that training is computed for."""

    name: str
    weights: int


@dataclass(frozen=True)
class Facts:
    """What follows from the recipe."""

    seconds: float                           # of speech in a frame that the network sees
    frames: int                              # such frames in a step, at most
    width: int                               # values in a stored frame of 10 ms
    weights: int                             # of the recipe's network
    networks: tuple[Network, ...]


def facts(settings: dict[str, Any]) -> Facts:
    import torch
    from recog.encoders.blstm import Blstm, BlstmConfig
    from recog.recipe import find

    experiment = find(settings["recipe"]).experiment(settings["model"], [])

    def weights(layers: int, units: int) -> int:
        with torch.device("meta"):
            return sum(w.numel() for w in Blstm(BlstmConfig(layers, units), experiment.features.output_size).parameters())

    made = experiment.encoder.config
    return Facts(experiment.features.stack * 0.01, experiment.train.batch.frames, experiment.features.width, weights(made.layers, made.units),
                 tuple(Network(each["name"], weights(each["layers"], each["units"])) for each in settings["networks"]))


def written(page: str, settings: dict[str, Any], document: str, known: Facts) -> str:
    """The page with its tables made anew."""
    tables = {"inputs": inputs, "scaling": scaling, "time": times, "disk": disk}
    return BLOCK.sub(lambda block: block[1] + "\n" + "\n".join(tables[block[2]](settings, document, known)) + "\n\n" + block[3], page)


def speed(settings: dict[str, Any], document: str) -> float | None:
    return measured(document, settings["throughput"]["benchmark"], settings["throughput"]["row"])


def inputs(settings: dict[str, Any], document: str, known: Facts) -> list[str]:
    v = speed(settings, document)
    rows = [("v, measured", f"`{settings['throughput']['benchmark']}`: {settings['throughput']['row']}", f"{v:,.0f} frames/s" if v else MISSING),
            ("s", f"seconds of speech in a frame of recipes/{settings['recipe']}", f"{known.seconds:g}"),
            ("v s, computed", "seconds of speech trained in a second", f"{v * known.seconds:,.0f}" if v else MISSING),
            ("N", "frames in a step, at most", f"{known.frames:,}"),
            ("W", "weights of the network that was measured", f"{known.weights:,}"),
            ("E, assumed", "passes over the speech", f"{settings['epochs']}")]
    rows += [("W'", f"weights of {network.name}", f"{network.weights:,}") for network in known.networks if network.weights != known.weights]
    return ["| | what | value |", "|---|---|---:|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]


def efficiency(processes: float, frames: float, v: float, weights: int, gigabytes: float) -> float:
    """e(P): the share of a step's time in which gradients are not being exchanged, all of them at the end of the step."""
    exchange = 2 * (processes - 1) / processes * 4 * weights / (gigabytes * 1e9)
    return 1 / (1 + exchange * v / frames)


def scaling(settings: dict[str, Any], document: str, known: Facts) -> list[str]:
    lines = ["| processes | frames/s, measured | of so many times one, measured | by the formula |", "|---:|---:|---:|---:|"]
    found = [(each["processes"], measured(document, each["benchmark"], each["row"])) for each in settings["scaling"]]
    single = next((value for processes, value in found if processes == 1), None)
    for processes, value in found:
        ratio = f"{value / single / processes:.2f}" if value and single else MISSING
        modelled = f"{efficiency(processes, known.frames, single, known.weights, settings['hardware'][0]['gigabytes']):.2f}" if single else MISSING
        lines.append(f"| {processes} | {f'{value:,.0f}' if value else MISSING} | {ratio} | {modelled} |")
    return lines


def times(settings: dict[str, Any], document: str, known: Facts) -> list[str]:
    lines = ["| hardware | network | " + " | ".join(f"{hours:,} h" for hours in settings["hours"]) + " |", "|---|---|" + "---:|" * len(settings["hours"])]
    v = speed(settings, document)
    for hardware in settings["hardware"]:
        for network in known.networks:
            rate = _rate(hardware, network, v, known)
            cells = [duration(hours * 3600 * settings["epochs"] / (rate * known.seconds)) if rate else MISSING for hours in settings["hours"]]
            lines.append(f"| {hardware['name']} | {network.name} | {' | '.join(cells)} |")
    return lines


def _rate(hardware: dict[str, Any], network: Network, v: float | None, known: Facts) -> float | None:
    """Frames a second."""
    if "peak" in hardware:
        return hardware["peak"] * hardware["share"] / (6 * network.weights)
    if not v:
        return None
    own = v * hardware["share"] * known.weights / network.weights
    return own * hardware["machines"] * efficiency(hardware["machines"], known.frames, own, network.weights, hardware["gigabytes"])


def duration(seconds: float) -> str:
    for name, size in (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {name}"
    return f"{seconds / 60:.0f} minutes"


def disk(settings: dict[str, Any], document: str, known: Facts) -> list[str]:
    lines = ["| | " + " | ".join(f"{hours:,} h" for hours in settings["hours"]) + " |", "|---|" + "---:|" * len(settings["hours"])]
    for what, bytes_an_hour in (("features, 4 bytes a value", 360_000 * known.width * 4 * settings["views"]), ("recordings, 16 bits at 16 kHz", 2 * 16_000 * 3600)):
        lines.append(f"| {what} | " + " | ".join(f"{hours * bytes_an_hour / 1e12:,.2f} TB" for hours in settings["hours"]) + " |")
    return lines


def main() -> None:
    settings = tomllib.loads(SETTINGS.read_text(encoding="utf-8"))
    document = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), settings, document, facts(settings)), encoding="utf-8")


if __name__ == "__main__":
    main()
