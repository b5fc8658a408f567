"""The models of the service, as it describes them: asked for once, and kept beside the ledgers.

entries.py      descriptions with their times: how fresh, how merged, how large. Pure
kept.py         the file that keeps them
asking.py       asks the service for descriptions and for the list of models
unknown_ids.py  when an id that the service doesn't know is a mistake. Pure
table.py        models in a table. Pure
page.py         one model as people read it. Pure

What they say of a manifest's cells:

checks.py       the door: a manifest and descriptions -> its problems
rules.py        what one value is by the description of its input. Pure
near_values.py  the allowed value that is meant by one that is not. Pure
mistakes.py     what one cell's input is by its model's description. Pure
sent_types.py   the types that values are converted to as they are sent. Pure
unsent_columns.py  columns that models may miss
axes.py         whether a grid may have a mistake, without its product
found.py        mistakes of a whole grid, grouped and counted
proof.py        what succeeded runs say against a description
problems.py     mistakes as people read them, each at its line
"""
