"""A YAML file → texts. An error names the place; nothing of a value that may be a secret is repeated."""

from __future__ import annotations

import os
import re
from typing import Any

from meterline.errors import UserError


def read(path: str) -> Any:
    """What a file holds, every scalar as text; {} where it holds nothing. UserError names the file and the line."""
    import yaml

    try:
        with open(path, encoding="utf-8") as file:
            # Every scalar stays text: an unquoted ID of digits must never become a number.
            return yaml.load(file, Loader=yaml.BaseLoader) or {}
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text file in UTF-8") from error
    except RecursionError:
        raise UserError(f"{path}: brackets in brackets, too deep to be a configuration") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        # A text that begins with an asterisk is taken for a name, and repeated; it may be a secret.
        problem = re.sub(
            r"alias .*", "alias; a text that begins with * needs quotes", getattr(error, "problem", None) or "not YAML"
        )
        raise UserError(f"{path}: {where}{problem}") from None


_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def substitute(value: Any) -> Any:
    """``${NAME}`` in every text becomes the environment's NAME: in parsed texts, never in the raw file."""
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
    """The same faults, each with the place in front."""
    return UserError("\n".join(place + line for line in str(error).splitlines()))
