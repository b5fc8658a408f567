"""The files beside a manifest: data files and local files.

data_file.py     a data file: its rows, read again whenever they are needed
csv_rows.py      the lines of a CSV file -> rows of texts
jsonl_rows.py    the lines of a JSONL file -> rows of values
column_types.py  the one type of each column of a CSV file
field_types.py   what one field of it reads as
decoded.py       bytes -> lines of text
mistake.py       what is wrong with a line
table.py         a data file as a table of the grid
local_files.py   files that are sent, globs, lines of text
globs.py         the files that a pattern finds
left_out.py      the files that it leaves out, in words
text_files.py    the text of a file, as a value
changes.py       whether all of them are as they were
"""
