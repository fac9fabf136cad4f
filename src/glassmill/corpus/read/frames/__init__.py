"""Compressed forms of an archive, a module each: a sequence of frames that can be read independently."""
