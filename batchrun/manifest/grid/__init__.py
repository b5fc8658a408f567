"""The Manifest -> cells: how a grid is laid out, sized, walked, sampled, checked, and searched.

dimensions.py what varies, and how many numbers each of it has
layout.py     one model in the grid: what follows from what
traversal.py  a walk over the points of a layout
expand.py     all of them together: the cells, in order
size.py       how many there are, before any is made
sample.py     which points a `sample` draws; ruled.py: those that `exclude` leaves
find.py       the cell of a key; origin.py, places.py: where a cell and its values come from
sent_as.py    values of columns as they are sent; alone.py: which stand there as they are
check.py      the checks that need no cell; unmatched.py, unsent.py, unused.py: what is idle
"""
