"""What recog promises about speed and memory, measured: `python -m benchmarks [NAME ...]` prints the table."""
