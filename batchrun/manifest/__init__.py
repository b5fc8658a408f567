"""From the manifest's text to cells: what is to be made.

load.py       the door: a file -> the Manifest, with everything beside it read and checked
yaml/         text -> a tree that knows line and column, read section by section
parse/        sections -> the Manifest: models, rows and zip, exclude and include, limits
data/         what stands beside a manifest: CSV and JSONL, local files
expressions/  templates and `$` operators
grid/         the Manifest -> cells, lazily and in order; sample; the check before any is made;
              where a cell comes from, and where the cell of a key is
manifest.py   the Manifest as frozen values
typed.py      the types of its columns, and the manifest with former ones
sources.py    what it was read from
cells.py      a cell
cell_key.py   the key of a cell, and the version of its rule
file_names.py `outputs.name` and `metadata`, rendered
matching.py   when two values are one
few.py        a few of many problems, and how many more there are
select.py     `--only`
schema.py     the JSON Schema for editors
"""
