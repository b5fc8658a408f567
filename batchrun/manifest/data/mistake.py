"""What is wrong with a line of a data file; the readers of data files know no places beyond it."""

from msgspec import Struct


class Mistake(Struct, frozen=True):
    """A mistake in the row that begins in *line*, or of the whole file."""

    line: int
    message: str
    field: int | None = None  # the index of the field that it is about
    column: int | None = None  # from 1, where the place in the line's text is known
    excerpt: bool = True  # whether the line is worth showing


class WholeFileError(Exception):
    """The file as a whole is wrong: no row of it can be taken."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(mistake.message)
        self.mistake = mistake
