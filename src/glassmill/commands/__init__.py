"""The work behind the commands that are not stages, and how results are shown in the terminal."""
