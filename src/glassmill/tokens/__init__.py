"""Documents to ids: training a vocabulary, encoding, chat templates, id shards."""
