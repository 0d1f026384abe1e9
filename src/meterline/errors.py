"""The one kind of error that ends a command: something that a person must change."""


class UserError(Exception):
    """A command, flag or file that cannot be used. The text is for people: a line for each fault."""
