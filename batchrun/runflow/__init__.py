"""The API's side of us: what it says, when we may ask, and what an answer means.

    wire.py       (pure) API bodies <-> our values, tolerant where the API varies
    batches.py    (pure) the same for batches
    tolerant.py   (pure) single values of those bodies
    outputs.py    (pure) where in a run's output its files are
    outcomes.py   (pure) what the answer to a POST means
    headers.py    (pure) what an answer's headers tell about time
    pace.py       (pure) when the next call may leave
    allowance.py  (pure) how many calls a second the service seems to take
    register.py   (pure) what processes that share a pace write down
    sharing.py    the file in which they do
    limiter.py    the one gate of all API calls
    patience.py   (pure) how long one call is tried again
    requests.py   builds the requests that carry the key
    calls.py      sends them in their turn, and again where that is safe
    listing.py    what a list of runs shows, and what it may claim
    client.py     the API as functions: HTTP with the key
    filetypes.py  (pure) what a file is called, from what it is
    downloads.py  HTTP without the key, .part and rename
    http.py       makes the two HTTP clients

Nothing here knows the ledger or decides whether a request is sent again that may have created
something: that is the engine's business.
"""
