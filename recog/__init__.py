"""recog: sequence recognition and generation with recurrent networks, for speech and handwriting."""

__version__ = "0.1.0"


def load(model="english_small", device="auto"):
    """A model ready to transcribe: `recog.load().transcribe(["a.wav"])`. See recog.api.Transcriber."""
    from .api import load                # importing recog alone loads no torch

    return load(model, device)


def synthesize(text, **options):
    """Handwriting of a text: `recog.synthesize("Dear Anna", seed=3).svg()`. See recog.synthesis.synthesize."""
    from .synthesis import synthesize

    return synthesize(text, **options)
