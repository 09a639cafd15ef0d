"""Runs frames on the accelerator. Plain Python 3.8 with NumPy and pynq; this folder is all that the board needs."""
