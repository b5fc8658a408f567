"""The other side of the wire: a local server that behaves as the Runflow API is documented to.

Nothing real is made here and nobody is paid. The package imports nothing of the rest of batchrun,
so that a misunderstanding of the API cannot hide by being on both sides.

The way of a request: `server` accepts it, `api.app` lets `faults` strike and checks the key, a
handler in `api` asks `world`, which keeps what happened in `store` and works out what is by now
from `life` and the clock; `views` makes the JSON, `pictures` the files.
"""
