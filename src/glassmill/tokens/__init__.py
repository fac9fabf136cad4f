"""Documents to ids: the vocabulary and its training, encoding, chat templates, id shards."""
