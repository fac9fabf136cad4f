"""Run folders, their manifests and events, and the executors that map a function over shards."""
