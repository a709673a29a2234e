"""How far the cells of an LSTM over images may grow."""

LARGEST_CELL = 2.0 ** 24                 # beyond, what a step adds, at most 1, is lost in float32 anyway
