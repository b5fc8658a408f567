"""Values that use other names: templates and `$` operators.

compiler.py    nodes -> expressions
expression.py  what an expression comes to, once its names have values
misused.py     an operator that is unknown, or not alone
scope.py       what names stand for, and the fields of CSV files among it
ranges.py      the numbers of a `$range`
template.py    `${...}` in text
doubts.py      values that may not be what was typed
"""
