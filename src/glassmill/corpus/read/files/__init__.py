"""Kinds of files that a folder of documents holds, one module a kind: bytes in, text or members out."""
