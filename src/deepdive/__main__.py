"""`python -m deepdive` is the command `deepdive`."""

from deepdive.cli import main

main()
