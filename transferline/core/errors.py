"""The one exception that a user's mistake raises."""


class InputError(ValueError):
    """Bad input: names the place, the mistake and the mend in one message."""

    def __init__(self, where: object, what: str, mend: str) -> None:
        self.where, self.what, self.mend = str(where), what, mend
        super().__init__(where, what, mend)  # all of them: an exception travels between processes by its arguments

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.mend}"
