"""A sweep's folder and identity.

location.py  the folder of a sweep
references.py  the `client_ref` of its runs
identity.py  `sweep.json`, and the refusal of a folder that lost its ledger
picks.py  marks of the page, as lines of `picks.jsonl`
kept_picks.py  marks that the folder keeps
"""
