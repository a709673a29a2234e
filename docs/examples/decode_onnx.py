"""Sound to text with an exported model, without recog: `python decode_onnx.py FOLDER SOUND`; or a file .npy of frames instead of sound."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile


def mel(hz):
    return 1127 * np.log1p(np.asarray(hz) / 700)


def frames(path, about):
    """[T, output_size] as "features", "sizes" and "normalizer" of frontend.json say."""
    if about["features"]["kind"] != "logmel" or about["features"]["energy"] or about["features"]["deltas"]:
        sys.exit("this example makes frames of log mel filters alone: give it a file .npy of frames")
    f, size, samples, rate = about["features"], about["sizes"], *soundfile.read(path, always_2d=True)
    samples, n = samples.mean(1), round(len(samples) * f["rate"] / rate)
    if rate != f["rate"]:                                                  # resampled through the spectrum
        samples = np.fft.irfft(np.fft.rfft(samples)[:n // 2 + 1], n) * n / len(samples)
    cut = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (0, max(0, size["window"] - n))), size["window"])[::size["step"]]
    cut = cut - cut.mean(1, keepdims=True)
    cut = (cut - 0.97 * np.hstack([cut[:, :1], cut[:, :-1]])) * np.hanning(size["window"]) ** 0.85
    at = mel(np.fft.rfftfreq(size["fft"], 1 / f["rate"]))
    edges = np.linspace(mel(f["low_hz"]), mel(f["high_hz"] or f["rate"] / 2), f["mels"] + 2)[:, None]
    filters = np.minimum(at - edges[:-2], edges[2:] - at).clip(0) / (edges[1] - edges[0])
    x = np.log((abs(np.fft.rfft(cut, size["fft"])) ** 2 @ filters.T).clip(np.finfo(np.float32).eps))
    x = x.clip(x.max() - f["range_db"] * np.log(10) / 10) if f["range_db"] else x
    if f["normalize"] == "corpus":
        x = (x - about["normalizer"]["mean"]) / about["normalizer"]["std"]
    elif f["normalize"] != "none":
        x = (x - x.mean(0)) / (x.std(0).clip(1e-3) if f["normalize"] == "utterance" else 1)
    return np.pad(x, ((0, -len(x) % f["stack"]), (0, 0)), "edge").reshape(-1, size["output_size"])


def text(ids, units):
    said = [units["symbols"][i] for i in ids]
    if "lexicon" not in units:
        return ("" if units["kind"] in ("char", "piece") else " ").join(said).replace("\u2581", " ").strip()
    words = {way: word for word, ways in reversed(units["lexicon"].items()) for way in ways}      # phones, and spaces between words
    return " ".join(words.get(way.strip(), way.strip().replace(" ", "-")) for way in " ".join(said).split("   ") if way.strip())


folder, source = Path(sys.argv[1]), sys.argv[2]
about, units = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("frontend.json", "units.json"))
x = (np.load(source) if source.endswith(".npy") else frames(source, about)).astype(np.float32)
network = onnxruntime.InferenceSession(str(folder / "model.onnx"))
log_probs, lengths = network.run(None, {"x": x[None], "x_len": np.array([len(x)])})
best = log_probs[0].argmax(1)
print(text([b for a, b in zip([0, *best], best) if b not in (0, a)], units))
