"""`python -m breakages [TEXT …]`: tries breakages, all or some, and prints which test caught each.

The exit code is 0 where each was caught, 1 where one was not or the tests fail without it, and 2
where no name has one of the texts in it.
"""

import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from breakages import Breakage, load
from breakages.trial import Verdict, try_out, try_without

AT_ONCE: Final = 2


def main(texts: Sequence[str]) -> int:
    wanted = [each for each in load() if not texts or any(text in each.name for text in texts)]
    if not wanted:
        print(f"no breakage has one of these texts in its name: {', '.join(texts)}")
        return 2
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        without = pool.submit(try_without, wanted)
        survivors = 0
        for breakage, verdict in zip(wanted, pool.map(try_out, wanted), strict=True):
            survivors += not verdict.caught
            print(told(breakage, verdict), flush=True)
        whole = without.result()
    print(f"{len(wanted)} breakages, {survivors} survived, {time.monotonic() - began:.0f} s")
    if whole.code != 0:
        print(f"without any of them their tests fail:\n{whole.output}")
    return int(survivors > 0 or whole.code != 0)


def told(breakage: Breakage, verdict: Verdict) -> str:
    """Return what is printed of a trial: all that pytest said, where nothing caught the bug."""
    time_taken = f"{verdict.seconds:5.1f} s"
    if verdict.caught:
        return f"{breakage.name}\n    {time_taken}  {verdict.failed[0]}"
    return f"{breakage.name}\n    {time_taken}  SURVIVED ({verdict.code})\n{verdict.output}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
