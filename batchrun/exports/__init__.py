"""The results in other formats, each made from results.jsonl, so that all have the same rows.

formats.py         the formats, and their names on the command line
kept_rows.py       the rows of a results.jsonl, as often as they are asked for
survey.py          the columns of the rows, and the type of each
excel.py           a CSV file for a double click in Excel
parquet.py         a Parquet file, with typed columns; the only user of pyarrow
metadata.py        metadata.jsonl beside the files, in the format of image data sets
chosen_columns.py  chosen columns as a table, or as JSON
"""
