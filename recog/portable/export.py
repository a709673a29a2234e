"""`recog models export --to`: a recognizer for programs without recog, with all that they must know of it (docs/formats.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, modeldir
from ..components import nearest
from ..config import plain
from ..errors import ConfigError, ModelError
from ..files import digest, write_json, writing
from ..modeldir import LoadedModel
from . import runtime
from .graph import needed
from .parts import parts

FORMAT = 1
CLOSE = 1e-4                             # how far log-probabilities may be from recog's own, nats
SIDES = {"B": 3, "T": 37, "T_out": 5, "U": 4, "K": 4}        # of what is tried


def export(source: Path, folder: Path, to: str, int8: bool, name: str | None, force: bool) -> str:
    """Writes the folder, whole or not at all, and says what is in it, a line for each network.

    Each network is run on ragged noise: ModelError is raised, and nothing written, if it does not agree with recog's own layers.
    """
    if to not in runtime.SUFFIX:
        raise ConfigError(f"there is no format '{to}'{nearest(to, runtime.SUFFIX)}", where="--to")
    if to == "onnx":
        needed()
    if folder.exists() and not force:
        raise ConfigError("is there already", where=folder, hint="--force overwrites it")
    loaded = modeldir.load(source)
    if loaded.members:
        raise ModelError(f"is {len(loaded.members) + 1} models that read together", where=source,
                         hint=f"export each: {source}, {', '.join(str(source / modeldir.MEMBERS / m.name) for m in loaded.members)}")
    facts = {"name": name or loaded.name, "data_licence": str(loaded.info.get("data_licence", ""))}
    networks, rng, lines = parts(loaded.model, loaded.config.features.output_size, source), np.random.default_rng(0), []
    with writing(folder) as partial:
        partial.mkdir()
        loaded.units.save(partial / modeldir.UNITS)
        rows = []
        for part in networks:
            path = runtime.write(part, to, int8, partial, facts)
            differs = part.difference(runtime.opened(path, 1), part.trial(SIDES, rng))
            if not differs.max() <= (np.inf if int8 else CLOSE):
                raise ModelError(f"its {part.name} differs from recog's own by {differs.max():.1e}", where=source, hint="please report this")
            figures = {"largest": float(differs.max()), "mean": float(differs.mean())}
            rows.append({"file": path.name, **part.described(), "differs": figures})
            lines.append(f"{folder / path.name}: {path.stat().st_size / 1e6:.2f} MB, differs from recog's own on noise by at most "
                         f"{figures['largest']:.1e}, by {figures['mean']:.1e} in the mean")
        files = {p.name: {"bytes": p.stat().st_size, "sha256": digest(p)} for p in sorted(partial.iterdir())}
        write_json(partial / "frontend.json", described(loaded) | facts | {
            "to": {"format": to, "int8": int8, "recog": __version__, **runtime.versions(to)}, "networks": rows, "files": files})
    return "\n".join(lines)


def described(loaded: LoadedModel) -> dict[str, Any]:
    """What goes into the networks, and what comes out of them: all that follows from the model."""
    features, normalizer = loaded.config.features, loaded.normalizer
    sizes = {"width": features.width, "output_size": features.output_size}
    if features.medium == "audio":
        sizes |= {"window": features.window, "step": features.step, "fft": 1 << (features.window - 1).bit_length()}
    return {"format": FORMAT, "medium": features.medium, "features": plain(features), "sizes": sizes,
            "normalizer": None if normalizer is None else {"mean": normalizer.mean.tolist(), "std": normalizer.std.tolist()},
            "subsampling": loaded.model.encoder.subsampling, "frame_seconds": loaded.frame_seconds, "head": loaded.config.head.kind,
            "units": {"file": modeldir.UNITS, "count": len(loaded.units), "blank": 0},
            "decoder": plain(loaded.config.decoder), "weights": loaded.info["weights"],
            "weights_sha256": loaded.info["files"][modeldir.WEIGHTS]["sha256"],
            **{key: loaded.info.get(key) for key in ("provenance", "scores")}}
