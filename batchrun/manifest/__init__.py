"""From the manifest's text to cells.

load.py       the entry: a file -> the Manifest; reads and checks all files beside it
yaml/         text -> a tree that knows line and column, read section by section
parse/        sections -> the Manifest: models, rows and zip, exclude and include, limits
data/         the files beside a manifest: CSV and JSONL, local files
expressions/  templates and `$` operators
grid/         the Manifest -> cells, lazily and in order; sample; the check before any is made;
              where a cell comes from, and where the cell of a key is
manifest.py   the Manifest as frozen values
typed.py      the types of its columns, and the manifest with former ones
sources.py    the files and variables that it was read from
cells.py      a cell
cell_key.py   the key of a cell, and the version of its rule
file_names.py `outputs.name` and `metadata`, rendered
matching.py   when two values are one
few.py        the first problems of a kind, and the number of the others
select.py     `--only`
schema.py     the JSON Schema for editors
"""
