"""Configuration of the site: `python -m docs` builds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

project, author, copyright = "byhand", "the byhand authors", "the byhand authors, Apache-2.0"  # noqa: A001
extensions = ["myst_parser", "docs.extension"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["ref.python"]  # `Step` is a class of two modules: the link leads to one of them
python_maximum_signature_line_length = 100
add_module_names = False
exclude_patterns = ["build", "__pycache__"]
html_math_renderer = "mathml"

html_theme = "furo"
html_title = "byhand"
html_static_path = ["_static"]
html_css_files = ["book.css"]
html_js_files = ["predict.js", "live.js"]
html_copy_source = html_show_sphinx = False
html_show_search_summary = False  # it fetches pages, which browsers reject for files
html_theme_options = {"navigation_with_keys": True}
