"""A sweep: where it lives and who it is.

location.py  the folder of a sweep
references.py  the `client_ref` of its runs
identity.py  `sweep.json`, and the refusal of a folder that lost its ledger
"""
