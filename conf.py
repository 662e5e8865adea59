"""The configuration of Sphinx. `make html` builds the book, as does
`sphinx-build -n -W -c . docs build/html`.

Neither the build nor the built pages load anything from another host: no fonts, no scripts, no
inventories. The pages work from file:// and without JavaScript. With JavaScript, code has a copy
button and the book can be searched (`docs/_ext/book_search.py`).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from driverref import __version__ as release  # noqa: E402 - from this checkout

project = "driverref"
version = release
author = "the driverref authors"
copyright = "2026, the driverref authors; MIT, the code shown here 0BSD"
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_design",
    "_ext.docstrings",
    "_ext.rules",
    "_ext.timeline",
    "_ext.outcomes",
    "_ext.states",
    "_ext.downloads",
    "_ext.live",
    "_ext.real_thing",
    "_ext.releases",
    "_ext.names",
    "_ext.book_search",
    "_ext.forms",
    "_ext.pair",
    "_ext.driver",
    "_ext.cards",
    "_ext.otp_suites",
    "_ext.sheet",
]

exclude_patterns = ["_ext", "_live", "_templates", "symptoms", "LICENSE-snippets"]
templates_path = ["docs/_templates"]
highlight_language = "python"
smartquotes = True

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "fieldlist", "substitution"]
myst_heading_anchors = 3
rule_tests = str(ROOT / "tests")

# Objects and types are shown by their short names, without their modules.
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 88
toc_object_entries = False

# Names of Python's own library have no link: the list of their addresses is on another host.
nitpick_ignore_regex = [
    (
        "py:.*",
        r"(typing|collections|types|contextlib|contextvars|enum|threading|socket|abc|os|sys)\..*",
    ),
    ("py:.*", r"(memoryview|bytes|bytearray|int|str|float|bool|object|None|tuple|list|dict|set)"),
    ("py:.*", r"(frozenset|type|Any|Self|Callable|Iterable|Iterator|Sequence|Mapping|NamedTuple)"),
    ("py:.*", r"(Exception|RuntimeError|ValueError|TypeError|Ellipsis|optional)"),
    # Type variables, and classes that the reference of the API leaves out.
    ("py:.*", r"(driverref\.\w+\.)?[A-Z]"),
    ("py:class", "Place"),
    ("py:class", r"driverref\.(release|memory|runtime)\..*"),
    ("py:class", r"driverref\.(emulator\.EmulatorOptions|explore\.witness\.RunOptions)"),
    ("py:class", r"driverref\.threads\..*"),
]

# Where the book is read on the web: Read the Docs says where it puts it.
html_baseurl = os.environ.get(
    "READTHEDOCS_CANONICAL_URL", "https://driverref.readthedocs.io/en/latest/"
)

html_theme = "furo"
html_title = "driverref"
html_static_path = ["docs/_static", "driverref/player/web"]
html_css_files = ["book.css", "pages.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options: dict[str, Any] = {
    "navigation_with_keys": False,
    "top_of_page_buttons": [],
    "light_css_variables": {
        "color-brand-primary": "#8a1538",
        "color-brand-content": "#8a1538",
        "color-brand-visited": "#6b3fa0",
    },
    "dark_css_variables": {
        "color-brand-primary": "#ff8fa8",
        "color-brand-content": "#ff8fa8",
        "color-brand-visited": "#c9a6ff",
    },
}
# Each colour of these has enough contrast: tests/docs/test_contrast.py.
pygments_style = "github-light-high-contrast"
pygments_dark_style = "github-dark-high-contrast"

# The copy button copies what a reader types: no prompts, no output, no traceback.
copybutton_prompt_text = r">>> |\.\.\. ?|\$ "
copybutton_prompt_is_regexp = True
copybutton_only_copy_prompt_lines = True
copybutton_remove_prompts = True
copybutton_copy_empty_lines = False
copybutton_line_continuation_character = "\\"
