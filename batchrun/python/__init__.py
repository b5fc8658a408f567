"""batchrun for Python programs: the commands as functions with typed values.

`import batchrun` makes these names known and imports none of them: each comes at its first use.

calls.py       load, plan, run, run_async, stream, read_ledger
loading.py     a manifest from a file or a mapping; `mapping_text.py` spells the mapping
keywords.py    the options, by keyword
values.py      a plan, and the end of a call
running.py     a call at work in a thread of its own
streaming.py   its results, as an asynchronous iterator
reading.py     reads a ledger

A call works in a thread with an event loop of its own, and the program's loop only waits for it. So
it works under asyncio as under trio, in a notebook, and beside a loop's body that takes long: no
answer is late because a picture is being resized. And no task group is open while the program
does something else, which an asynchronous generator can't hold without harm.
"""
