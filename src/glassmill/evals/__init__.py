"""Scores of a finished line: what the filters decided, what leaked, what the model knows."""
