"""Importing and exporting models: GGUF files, Hugging Face folders, weights inside a Python package."""
