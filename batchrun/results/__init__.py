"""The results that people look at, drawn from the ledger.

rows.py            a row of the results
result_files.py    results.csv and results.jsonl
result.py          a row as a typed value
gathering.py       the results of a call, each as its cell ends
picked_files.py    copies of files that are picked
starts.py          each start, as it was
edits.py           what was edited since the last start
value_changes.py   what only one of two walks of values has
value_places.py    where a value stands
origins.py         where the inputs of one cell come from
waits.py           where the time of a cell's attempts went
life_words.py      the life of a cell in words, and as JSON
log_words.py       the logs of a run in words, or their end. Pure
next_call.py       whether and why the next call takes a cell up
tally.py           how many cells stand where
standing_words.py  what these counts are called. Pure
budgets.py         what is spent of each budget
failures.py        failures grouped by cause
shared_values.py   the values that failed cells share
waiting.py         what a sweep waits for, in one line
sweep_folders.py   the folders of sweeps below a folder
sweep_facts.py     how a sweep stands, in little time
sweep_table.py     all sweeps in a table
summary.py         the `--json` object
going_on.py        how to go on: the last line
orphans.py         cells that the manifest no longer names, and what they have cost
terminal_table.py  the short table on stdout
progress_lines.py  plain lines while a sweep runs
progress_bar.py    the bar of a terminal; `bar_line.py` for its text
time_left.py       how long a call still takes
"""
