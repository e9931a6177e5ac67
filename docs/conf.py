"""Sphinx's settings for ``make site``: the documents as they are, the public names' docstrings."""

from inspect import isclass

from sphinx.application import Sphinx

import foldwise

project, author, release = "foldwise", "the foldwise authors", foldwise.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["__pycache__", "notebooks"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
autodoc_typehints = "description"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
html_theme = "alabaster"
html_theme_options = {"description": "Choose a model, defend the choice", "page_width": "1100px"}
# scikit-learn's own methods, whose docstrings link into its documentation.
_THEIRS = ", ".join(f"set_{of}_request" for of in ("fit", "predict", "score", "transform"))


def public_names() -> str:
    """The directives that document every public name."""
    lines = []
    for name in sorted(vars(foldwise)["_HOME"]):
        kind = "autoclass" if isclass(getattr(foldwise, name)) else "autofunction"
        lines += [f".. {kind}:: foldwise.{name}"]
        if kind == "autoclass":
            lines += ["   :members:", f"   :exclude-members: {_THEIRS}"]
        lines += [""]
    return "\n".join(lines)


def _filled(_app: Sphinx, document: str, source: list[str]) -> None:
    if document == "api":
        source[0] = source[0].replace("@names@", public_names())


def setup(app: Sphinx) -> None:
    """Let the reference be written when it is read."""
    app.connect("source-read", _filled)
