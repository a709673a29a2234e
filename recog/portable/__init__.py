"""Finished models for programs without recog: ONNX and TorchScript, with a description of what goes into them."""
