"""Frames to text with an exported transducer, without recog: `python decode_transducer_onnx.py FOLDER FRAMES.npy`."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

folder, x = Path(sys.argv[1]), np.load(sys.argv[2]).astype(np.float32)
units = json.loads((folder / "units.json").read_text(encoding="utf-8"))
encoder, prediction, joint = (onnxruntime.InferenceSession(str(folder / f"{name}.onnx")) for name in ("encoder", "prediction", "joint"))
emissions, _ = encoder.run(None, {"x": x[None], "x_len": np.array([len(x)])})
zeros = np.zeros((1, prediction.get_inputs()[1].shape[1]), np.float32)
p, h, c = prediction.run(None, {"label": np.array([0]), "h": zeros, "c": zeros})         # 0: the start
said = []
for t in range(emissions.shape[1]):
    for count in range(11):                                                                # ten units in a frame at most
        best = int(joint.run(None, {"emissions": emissions[0, t:t + 1], "p": p})[0].argmax())
        if best == 0 or count == 10:                                                       # the blank: on to the next frame
            break
        said.append(units["symbols"][best])
        p, h, c = prediction.run(None, {"label": np.array([best]), "h": h, "c": c})
print(("" if units["kind"] in ("char", "piece") else " ").join(said).replace("\u2581", " ").strip())
