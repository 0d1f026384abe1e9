"""A YAML file → parsed texts. Errors name the place, and repeat no value, which may be a secret."""

from __future__ import annotations

import json
import os
import re
from functools import cache
from typing import IO, Any

from meterline.errors import UserError


def read(path: str) -> Any:
    """Read a YAML file.

    Returns:
        Dicts, lists and texts: every scalar is text. {} for an empty file.

    Raises:
        UserError: The file is not readable or not YAML. The text names the file and the line.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return parse(file, path)
    except PermissionError as error:
        raise UserError(f"{path}: {error.strerror}; the user that runs meterline must be able to read it") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8") from error


def parse(text: str | IO[str], source: str) -> Any:
    """Parse a YAML text.

    Args:
        text: The text, or an open file.
        source: Name of the text in errors.

    Raises:
        UserError: The text is not YAML.
    """
    import yaml

    try:
        return yaml.load(text, Loader=_loader()) or {}
    except RecursionError:
        raise UserError(f"{source}: brackets are nested too deeply") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise UserError(f"{source}: {where}{_in_words(getattr(error, 'problem', None) or 'not YAML')}") from None


_JARGON = {
    "'\\t'": "a tab; YAML needs spaces",
    "found unexpected end of stream": "a quote that is not closed",
    "expected <block end>": "indentation differs from the lines above",
    "could not find expected ':'": "a key without a colon after it",
    "but found another document": "a second document; only one is read",
    "unconstructable recursive node": "a part that contains itself",
}


def _in_words(problem: str) -> str:
    """Translate an error of the YAML parser for people."""
    for jargon, words in _JARGON.items():
        if jargon in problem:
            return words
    # YAML takes a text that begins with an asterisk for an alias, and its error repeats the text, which may be a secret.
    return re.sub(r"alias .*", "alias; a text that begins with * needs quotes", problem)


@cache
def _loader() -> Any:
    """Return the loader. Scalars stay text: an unquoted ID of digits must not become a number. Duplicate keys are refused."""
    import yaml

    class Loader(yaml.BaseLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            seen = set()
            for key, _ in node.value:
                if isinstance(key.value, str) and key.value in seen:
                    # Without a space after its colon a key holds its value, which may be a secret.
                    problem = f"{key.value.partition(':')[0]!r} occurs twice"
                    raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
                seen.add(key.value if isinstance(key.value, str) else None)
            return super().construct_mapping(node, deep)

    return Loader


def plain(text: str) -> str:
    """Format a text as a YAML scalar, with quotes only if they are needed."""
    return text if re.fullmatch(r"[A-Za-z/][\w/.+@=?&-]*(:[\w/.+@=?&-]+)*", text, re.ASCII) else json.dumps(text)


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def substitute(value: Any) -> Any:
    """Replace ``${NAME}`` in all texts of a parsed document by environment variables.

    Parsed texts are substituted, not the raw file: a value of a variable can therefore not change the structure.

    Raises:
        UserError: There is no such variable.
    """
    if isinstance(value, dict):
        return {key: substitute(item) for key, item in value.items()}
    if isinstance(value, list):
        return [substitute(item) for item in value]
    return _VARIABLE.sub(_from_environment, value) if isinstance(value, str) else value


def _from_environment(match: re.Match[str]) -> str:
    try:
        return os.environ[match[1]]
    except KeyError:
        raise UserError(f"${{{match[1]}}}: no such variable in the environment") from None


def within(place: str, error: UserError) -> UserError:
    """Return the error with `place` in front of each of its lines."""
    return UserError("\n".join(place + line for line in str(error).splitlines()))
