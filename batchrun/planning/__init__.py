"""What a call would do and cost, before anything is sent.

    forecast.py    one walk of the grid: how its cells stand, and which are to do
    to_do.py       the cells that a call would begin, and what they come to
    limits.py      whether budgets and balance pay for it
    effort.py      calls and time at the present limits
    type_changes.py columns whose type has changed, and what that does to paid cells
    former_types.py the types that columns had when cells were paid for
    dropped_cells.py paid cells that drop out for it
    shared_runs.py  rows that come to one cell
    plan_file.py   a plan that was kept, and whether it still holds

No module here asks the service, and none sends anything.
"""
