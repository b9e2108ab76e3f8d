"""The documentation site: `make docs` builds it from the repository alone, with every warning an error."""

import os
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KGAN_TINY_NOTEBOOK", "1")  # the notebook for Colab trains for seconds

import generated  # noqa: E402  beside this file

import kgan  # noqa: E402

project = "kgan"
author = "kgan contributors"
copyright = "kgan contributors, Apache-2.0"
version = release = kgan.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "myst_nb"]
root_doc = "index"
smartquotes = False  # two hyphens are an option
exclude_patterns = ["_build", "jupyter_execute", "**/.ipynb_checkpoints"]

# --- pages: Markdown that GitHub shows too, and one notebook ----------------------------------------------------------
myst_heading_anchors = 4
highlight_language = "text"  # of blocks that name none
myst_enable_extensions = ["colon_fence"]
nb_execution_mode = "cache"  # a notebook is executed again when it changes
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

# --- docstrings: Google style, with Markdown's links and single backticks ---------------------------------------------
autodoc_typehints = "none"  # signatures show none; the docstrings say shapes, ranges and units
autodoc_member_order = "bysource"
add_module_names = False
toc_object_entries_show_parents = "hide"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = ["Reference"]
napoleon_use_ivar = True  # attributes as one list
napoleon_use_rtype = False
default_role = "py:obj"  # a link where the name is documented, else plain code

# --- looks ------------------------------------------------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = f"kgan {release}"
html_static_path = ["_static"]
html_css_files = ["kgan.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "kgan"},
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "use_edit_page_button": False,
}


def setup(app):
    """Sphinx asks this file what else it brings: the parts of pages that are made from the code."""
    app.connect("source-read", generated.fill_page)
    app.connect("autodoc-process-docstring", generated.to_rst)
    app.connect("autodoc-process-signature", generated.own_signature)
    app.connect("doctree-read", generated.dashes)
