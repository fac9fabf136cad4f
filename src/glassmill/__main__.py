"""`python -m glassmill` is the command `glassmill`."""

from glassmill.cli import main

main()
