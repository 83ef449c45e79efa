"""Run the command line with `python -m byhand`."""

from byhand.cli import main

main()
