"""MiniWeb: a small fictional web with its ground truth, made from a seed (see `make.py`)."""
