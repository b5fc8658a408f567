"""What batchrun came to before its modules were moved: keys, settings, ledger lines, replays.

The files here change only with a reason that users would accept; the README beside this says how.
"""
