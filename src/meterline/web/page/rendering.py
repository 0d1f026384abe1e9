"""HTML by the templates of the folder `templates`, which escape what they are given.

A line break and the indentation after it are no part of a template's text: a browser would show them as a space. Each template
is compiled when it is first used.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from tornado.template import DictLoader, Template

from meterline.locale import Language

FOLDER = Path(__file__).with_name("templates")


@cache
def _loader() -> DictLoader:
    texts = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("*.html")}
    return DictLoader({name: re.sub(r"\n\s*", "", text) for name, text in texts.items()}, whitespace="all")


@cache
def _template(name: str) -> Template:
    return _loader().load(f"{name}.html")


def render(template: str, language: Language, **values: object) -> str:
    """Fill in a template.

    Args:
        template: The name of its file, without ``.html``.
        language: Its texts, for `say` in the template.
        values: Names in the template. What it marks as ``raw`` must be HTML; everything else is escaped.

    Returns:
        HTML.
    """
    return _template(template).generate(language=language, say=language.say, **values).decode()


def printable(text: str) -> str:
    """A text that may hold what no encoding has: a part of a path that is not UTF-8 becomes question marks."""
    return text.encode("utf-8", "replace").decode()
