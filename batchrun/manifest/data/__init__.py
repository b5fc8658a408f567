"""The files beside a manifest: data files and local files.

data_file.py     a data file: its rows, read again whenever they are needed
csv_rows.py      the lines of a CSV file -> rows of texts
jsonl_rows.py    the lines of a JSONL file -> rows of values
column_types.py  the one type of each column of a CSV file
field_types.py   the type of one field
decoded.py       bytes -> lines of text
mistake.py       a mistake in a line
sheets.py        the data files of one table, end to end
table.py         data files as a table of the grid
decimal_commas.py  columns of numbers that are text
local_files.py   files that are sent, globs, lines of text
globs.py         the files that a pattern finds
left_out.py      the files that a pattern leaves out, in words
text_files.py    the text of a file, as a value
changes.py       whether one of these files has changed
"""
