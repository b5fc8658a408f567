"""How messages spell things: near misses, counts, amounts of money, spans of time. Pure."""

from collections.abc import Iterable, Iterator
from decimal import Decimal
from difflib import get_close_matches
from itertools import islice

from batchrun.errors import MOST_LISTED


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean `known`?" for a near miss, else nothing."""
    near = nearest(word, known)
    return f"; did you mean `{near}`?" if near else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the one of *known* that *word* is a near miss of."""
    return next(iter(near_misses(word, known, most=1)), None)


def near_misses(word: str, known: Iterable[str], *, most: int) -> list[str]:
    """Return those of *known* that *word* is a near miss of, the nearest first."""
    folded = {name.casefold(): name for name in known}
    near = get_close_matches(word.casefold(), folded, n=most, cutoff=0.65)
    return [folded[name] for name in near]


def is_text(text: str) -> bool:
    """Say whether *text* has no bytes in it that were none: Python has each as half a pair."""
    return text.isascii() or not any("\ud800" <= each <= "\udfff" for each in text)


def for_terminal(text: str) -> str:
    """Return *text* without what would move a terminal's cursor or colour it: service words do."""
    return escaped(text, besides="\n\t")


def escaped(text: str, *, besides: str = "") -> str:
    """Return *text* with escapes for what isn't printable, *besides* some characters."""
    return "".join(
        c if c.isprintable() or c in besides else c.encode("unicode_escape").decode() for c in text
    )


def number_of(number: int, noun: str) -> str:
    """Return "1 cell", or "2,000 cells"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(texts: Iterable[str], *, most: int = MOST_LISTED, by: str = ", ") -> str:
    """Return the first *most* of *texts* in a row, and how many more there are."""
    shown = [*texts]
    more = f" and {len(shown) - most:,} more" if len(shown) > most else ""
    return f"{by.join(shown[:most])}{more}"


def few(lines: Iterable[str], *, most: int = MOST_LISTED) -> Iterator[str]:
    """Yield the first *most* of *lines*, and one that says how many more there are."""
    rest = iter(lines)
    yield from islice(rest, most)
    if more := sum(1 for _ in rest):
        yield f"and {more:,} more"


def money(amount: Decimal) -> str:
    """Spell an amount of USD for programs: plain, at least two decimals, no more than it has."""
    return _spelled(amount, decimals=2, by="")


def usd(amount: Decimal, *, decimals: int = 2) -> str:
    """Spell an amount of USD for people: `4,000.00`, with at least so many *decimals*."""
    return _spelled(amount, decimals=decimals, by=",")


def decimals_of(amounts: Iterable[Decimal]) -> int:
    """Return how many decimals all of *amounts* get in one column: the most that any needs."""
    return max((len(money(each).partition(".")[2]) for each in amounts), default=2)


def _spelled(amount: Decimal, *, decimals: int, by: str) -> str:
    whole, _, cents = f"{amount.normalize():{by}f}".partition(".")
    return f"{whole}.{cents:0<{decimals}}"


def span(seconds: float) -> str:
    """Spell a length of time as people say it: `40 s`, `12 min`, `3 h 20 min`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def size_of(count: int) -> str:
    """Spell a number of bytes: `812 B`, `3.5 MiB`."""
    units = ("B", "KiB", "MiB", "GiB")
    power = min(max(count.bit_length() - 1, 0) // 10, len(units) - 1)
    number = f"{count / 1024**power:.1f}".removesuffix(".0")
    return f"{number} {units[power]}"
