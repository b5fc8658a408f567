"""The plan of a call: its cells, their cost and their time, before anything is sent.

    forecast.py    one walk of the grid: how its cells stand, and which are to do
    to_do.py       the cells that a call would begin, and their sums
    limits.py      whether budgets and balance cover them
    effort.py      calls and time at the present limits
    type_changes.py columns whose type has changed, and the effect on paid cells
    former_types.py the types of columns when cells were paid for
    dropped_cells.py paid cells that drop out for such a change
    shared_runs.py  rows that map to one cell
    plan_file.py   a kept plan, and whether it still holds

No module here asks the service, and none sends anything.
"""
