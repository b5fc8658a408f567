"""The Manifest -> cells: how a grid is laid out, sized, walked, sampled, checked, and searched.

dimensions.py the axes, and the number of values of each
layout.py     one model in the grid: the order in which values depend on each other
traversal.py  a walk over the points of a layout
expand.py     all layouts together: the cells, in order
size.py       the number of cells, before any is made
sample.py     which points a `sample` draws; ruled.py: those that `exclude` leaves
find.py       the cell of a key; origin.py, places.py: where a cell and its values come from
sent_as.py    values of columns as they are sent; alone.py: columns that stand alone
check.py      the checks that need no cell; unmatched.py, unsent.py, unused.py: unused parts
"""
