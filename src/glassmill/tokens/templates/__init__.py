"""Jinja chat templates: rendered in a process of their own, with every character's origin kept."""
