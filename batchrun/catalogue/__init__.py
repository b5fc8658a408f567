"""The service's models as it describes them, and what that says of a manifest's cells.

rules.py     what one value is by the description of its input; pure
mistakes.py  what one cell's input is by its model's description; pure
found.py     mistakes of a whole grid, grouped and counted
axes.py      whether a grid may have a mistake, without its product
places.py    the line that a mistake stands in
proof.py     what succeeded runs say against a description
checks.py    the door: a manifest and descriptions -> its problems
"""
