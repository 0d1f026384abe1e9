"""HTML from the templates in the folder `templates`, which escape all values.

Line breaks and indentation of a template are removed, since a browser would show them as a space. A template is compiled at its
first use.
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
        template: Name of the file, without ``.html``.
        language: The language of the texts that the template takes by `say`.
        values: Values by their names in the template. A value that the template marks as ``raw`` must be HTML; all others are
            escaped.

    Returns:
        HTML.
    """
    return _template(template).generate(language=language, say=language.say, **values).decode()


def printable(text: str) -> str:
    """Replace characters that cannot be encoded, such as parts of a path that is not UTF-8, by question marks."""
    return text.encode("utf-8", "replace").decode()
