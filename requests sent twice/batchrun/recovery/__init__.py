"""A lost ledger, made again from what the service knows of its sweep.

rebuild_ledger.py   finds the runs of a sweep, and writes what the ledger lacks
missing_records.py  what a ledger should say of a cell, given its runs
"""
