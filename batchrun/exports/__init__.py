"""The results in other formats, each made of results.jsonl: so all of them say the same.

formats.py         which formats there are, and how the command line names them
kept_rows.py       the rows of a results.jsonl, as often as they are asked for
survey.py          which columns rows have, and of what kind each is
excel.py           a CSV file for a double click in Excel
parquet.py         a Parquet file, with typed columns; the only user of pyarrow
metadata.py        metadata.jsonl beside the files, as image datasets have it
chosen_columns.py  chosen columns as a table, or as JSON
"""
