"""The results that people look at, drawn from the ledger.

rows.py            a row of the results
result_files.py    results.csv and results.jsonl
result.py          a row as a typed value
gathering.py       the results of a call, each as its cell ends
picked_files.py    copies of files that are picked
starts.py          each start, as it was
edits.py           the edits since the last start
value_changes.py   values that only one of two walks over cells has
value_places.py    the place of a value in the manifest
origins.py         the sources of a cell's inputs
waits.py           the waits of a cell's attempts
life_words.py      the life of a cell in words, and as JSON
log_words.py       the logs of a run in words, or their end. Pure
next_call.py       whether and why the next call takes a cell up
tally.py           the counts of cells by status
standing_words.py  the names of these counts. Pure
budgets.py         the money spent of each budget
failures.py        failures grouped by cause
shared_values.py   the values that failed cells share
waiting.py         what a sweep waits for, in one line
sweep_folders.py   the folders of sweeps below a folder
sweep_facts.py     the state of a sweep, found in little time
sweep_table.py     all sweeps in a table
summary.py         the `--json` object
going_on.py        how to go on: the last line
orphans.py         cells that the manifest no longer has, and their cost
terminal_table.py  the short table on stdout
progress_lines.py  plain lines while a sweep runs
progress_bar.py    the bar of a terminal; `bar_line.py` for its text
time_left.py       how long a call still takes
"""
