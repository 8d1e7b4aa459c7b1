"""
Sphinx: everything is Markdown; tables come out of the code, by generate.py.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import generate  # noqa: E402

import mailaccess  # noqa: E402

generate.write(HERE / "_build" / "generated")

project = "mailaccess"
author = "the mailaccess project"
version = release = mailaccess.__version__

extensions = ["myst_parser"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": "IMAP4 and POP3 with one TLS policy", "page_width": "1080px"}
html_show_sourcelink = False
