"""The models of the service, as it describes them: asked for once, and kept beside the ledgers.

entries.py      descriptions with their times: how fresh, how merged, how large. Pure
kept.py         the file that keeps them
asking.py       asks the service for descriptions and for the list of models
unknown_ids.py  when an id that the service doesn't know is a mistake. Pure
table.py        models in a table. Pure
page.py         one model as people read it. Pure
"""
