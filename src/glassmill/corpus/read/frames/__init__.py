"""Compressed forms of an archive, one module a form: frames in a row, each of which can be read alone."""
