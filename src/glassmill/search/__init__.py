"""Search in a corpus's documents: passages, an index of them, and which of them a question is about."""
