"""A base model and conversations in, an assistant out."""
