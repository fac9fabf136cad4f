"""Papers about a model: what it was made from, and what has to be told of it. Start reading at `chain.py`."""
