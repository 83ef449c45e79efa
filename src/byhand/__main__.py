"""`python -m byhand` is `byhand`."""

from byhand.cli import main

main()
