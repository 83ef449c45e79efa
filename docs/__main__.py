"""Build the site and open it in a browser: `python -m docs`. It needs the extra `docs`, and no network."""

import argparse
import sys
import webbrowser
from pathlib import Path

DOCS = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m docs", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=DOCS / "build", help="where to write (docs/build)")
    parser.add_argument("--no-open", action="store_true", help="do not open the site in a browser")
    options = parser.parse_args()
    try:
        import furo  # noqa: F401
        import latex2mathml  # noqa: F401
        import myst_parser  # noqa: F401
        from sphinx.cmd.build import build_main
    except ImportError as error:
        print(f"the site needs {error.name}: pip install '.[docs]'", file=sys.stderr)
        return 2
    # Every build starts from nothing, and a warning makes it fail: a broken link, or an example with another result.
    status = build_main(["-q", "-E", "-W", "--keep-going", "-b", "html", str(DOCS), str(options.folder)])
    index = options.folder.resolve() / "index.html"
    if status == 0:
        print(index)
        if not options.no_open:
            webbrowser.open(index.as_uri())
    return status


if __name__ == "__main__":
    raise SystemExit(main())
