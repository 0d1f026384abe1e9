"""The one kind of error that ends a command: something that a person must change."""


class UserError(Exception):
    """A command, flag or file that cannot be used. The text is for people: a line for each fault. `status` is the program's."""

    def __init__(self, text: str, status: int = 2) -> None:
        super().__init__(text)
        self.status = status
