"""The service's descriptions of models: asked for once, and kept beside the ledgers.

entries.py      descriptions with their times: age, merging, size. Pure
kept.py         the file that keeps them
asking.py       asks the service for descriptions and for the list of models
unknown_ids.py  when an id that the service doesn't know is a mistake. Pure
table.py        models in a table. Pure
page.py         one model in text. Pure

The check of a manifest's cells by them:

checks.py       the entry: a manifest and descriptions -> its problems
rules.py        whether a value fits the description of its input. Pure
near_values.py  the allowed value nearest to one that isn't allowed. Pure
mistakes.py     the mistakes in one cell's input, by its model's description. Pure
sent_types.py   the types that values are converted to as they are sent. Pure
unsent_columns.py  unsent columns with the name of a model's input
axes.py         whether a grid may have a mistake, without its product
found.py        mistakes of a whole grid, grouped and counted
proof.py        succeeded runs that contradict a description
problems.py     mistakes as messages, each at its line
"""
