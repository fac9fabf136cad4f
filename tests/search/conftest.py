"""Settings of the property tests: a loaded machine is no reason to fail."""

from hypothesis import HealthCheck, settings

settings.register_profile("search", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("search")
