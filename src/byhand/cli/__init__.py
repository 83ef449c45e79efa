"""The command line: one module per command, which parses, calls one function of the library, and prints the result."""

import sys

from byhand.cli.start import (
    INTERRUPTED,
    configure_blas,
    exit_on_interrupt,
    open_closed_streams,
    replace_unencodable,
    write_interrupted,
)


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        with exit_on_interrupt():
            open_closed_streams()
            replace_unencodable()
            configure_blas()
            from byhand.cli.group import run
        run()
    except KeyboardInterrupt:
        write_interrupted()
        sys.exit(INTERRUPTED)
