"""Token shards in, base model out."""
