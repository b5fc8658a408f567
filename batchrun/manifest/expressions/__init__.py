"""Values that use other names: templates and `$` operators.

compiler.py    nodes -> expressions
expression.py  the value of an expression, once its names have values
misused.py     an operator that is unknown, or not alone
scope.py       the values of names, including fields of CSV files
ranges.py      the numbers of a `$range`
template.py    `${...}` in text
doubts.py      values that may differ from the typed text
"""
