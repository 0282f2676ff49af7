"""The one exception that a user's mistake raises."""


class InputError(ValueError):
    """Bad input, told in one message: where it stands, what is wrong there, and how to mend it."""

    def __init__(self, where: object, what: str, mend: str) -> None:
        self.where, self.what, self.mend = str(where), what, mend
        super().__init__(where, what, mend)  # all of them: an exception travels between processes by its arguments

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.mend}"
