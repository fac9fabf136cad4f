"""Settings of the property tests: a loaded machine is no reason to fail."""

from hypothesis import settings

settings.register_profile("corpus", deadline=None, max_examples=60)
settings.load_profile("corpus")
