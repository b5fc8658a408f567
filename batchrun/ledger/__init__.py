"""All that happened, for good.

records.py        the kinds of lines, and their text
history.py        the life of a cell: the fold over its lines, and what may follow what
failure_codes.py  which failures are worth a second run
book.py           what all lines add up to: histories and totals
facts.py          the totals: of models, costs, and files that are owed
life.py           the life of one cell; `cell_lines.py` finds its lines by the index
history_index.py  a million histories in little memory
key_index.py      a million keys in little memory
beginning.py      which sweep the file is of
file.py           the file: held under a lock, appended to in commit groups
lock.py           the lock, and who holds it
index.py          cells, their lines, and sums, in SQLite: derived, and deletable
scan.py           questions that read the whole file
day_sums.py       what the runs of a ledger take from each day
day_file.py       the file that labels of a name draw a day's budget from
day_others.py     the parts that the other labels have of it
missing_files.py  saved outputs that are gone from the disk: owed again
replay.py         from the bytes to the book; what a crash left at the end
reader.py         reading without holding
"""
