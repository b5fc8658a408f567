"""Questions before a call begins: broken off where the call is asked to stop."""

import anyio
import pytest

from batchrun.commands.questions import answered, broken_off_by
from batchrun.errors import UnreachableError, UsageError


async def double(number: int) -> int:
    await anyio.lowlevel.checkpoint()
    return 2 * number


async def refuse() -> None:
    raise UnreachableError("no answer")


def test_the_answer_is_returned_with_and_without_a_list_to_look_at() -> None:
    assert answered(double, 21) == 42
    with broken_off_by([]):
        assert answered(double, 21) == 42


def test_an_error_is_raised_as_it_is() -> None:
    with broken_off_by([]), pytest.raises(UnreachableError, match="no answer"):
        answered(refuse)


def test_a_word_breaks_a_question_off_that_has_no_end() -> None:
    stop: list[str] = []

    async def endless() -> None:
        stop.append("the program")
        await anyio.sleep_forever()

    with broken_off_by(stop), pytest.raises(UsageError, match="nothing was sent"):
        answered(endless)
