"""The results that people look at, drawn from the ledger.

rows.py            a row of the results
result_files.py    results.csv and results.jsonl
tally.py           how many cells stand where
failures.py        failures grouped by cause
summary.py         the `--json` object, and how to go on
terminal_table.py  the short table on stdout
progress_lines.py  plain lines while a sweep runs
progress_bar.py    the bar of a terminal
"""
