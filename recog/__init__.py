"""recog: sequence recognition and generation with recurrent networks, for speech and handwriting."""

__version__ = "0.1.0"
