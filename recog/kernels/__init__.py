"""Compiled inner loops. Each is imported only by the code that runs it."""
