"""How Sphinx builds this documentation: ``sphinx-build -W docs docs/_build``."""

from pallets_sphinx_themes import get_version

project = "flask-stsession"
author = "The flask-stsession maintainers"
copyright = f"2026, {author}"  # noqa: A001 (Sphinx reads this name)
release, version = get_version(project)

extensions = ["myst_parser", "sphinx.ext.autodoc", "pallets_sphinx_themes"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

myst_enable_extensions = ["attrs_inline", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
add_module_names = False
python_maximum_signature_line_length = 88
python_display_short_literal_types = True

html_theme = "flask"
html_title = f"flask-stsession {version}"
html_static_path = ["_static"]
html_css_files = ["stsession.css"]
html_sidebars = {"**": ["contents.html", "searchbox.html"]}
html_show_sourcelink = False
version_banner = False  # it would ask PyPI
