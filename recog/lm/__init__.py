"""Language models: n-grams in the ARPA format, trained, read, and compiled for decoders."""
