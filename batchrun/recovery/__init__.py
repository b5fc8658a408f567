"""Rebuilds a lost ledger from the service's runs.

rebuild_ledger.py   finds the runs of a sweep, and writes what the ledger lacks
missing_records.py  the records that a cell should have, given its runs
"""
