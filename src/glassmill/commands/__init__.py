"""What the commands of `glassmill.cli` do when no stage does it: the demo, the terminal, plan, doctor, init, chat."""
