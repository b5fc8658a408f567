"""The ledger: the permanent record of all that happened in a sweep.

records.py        the kinds of lines, and their text
history.py        the state of a cell, folded from its lines, and the table of their order
failure_codes.py  which failures are tried again
book.py           the fold of all lines: histories and totals
facts.py          the totals: of models, costs, and files that are owed
life.py           the life of one cell; `cell_lines.py` finds its lines by the index
history_index.py  a million histories in little memory
key_index.py      a million keys in little memory
beginning.py      the sweep that the file belongs to
file.py           the file: held under a lock, appended to in commit groups
lock.py           the lock, and who holds it
index.py          cells, their lines, and sums, in SQLite: derived, and deletable
scan.py           questions that read the whole file
day_sums.py       the cost of a ledger's runs on each day
day_file.py       the file of a day's budget, which the labels of a name share
day_others.py     the parts of the other labels in it
missing_files.py  saved outputs that are gone from the disk: owed again
replay.py         reads the bytes into a book, and cuts off what a crash left
reader.py         reads the ledger without its lock
"""
