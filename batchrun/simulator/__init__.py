"""The other side of the wire: a local server that behaves as the Runflow API is documented to.

Nothing real is made here, and nothing is paid. The package imports nothing of the rest of batchrun,
so that a misunderstanding of the API cannot hide by being on both sides.

The way of a request: `server` accepts it from a socket, or `transport` plays it in this process,
also in virtual time. `app` knows which path leads where; `api` lets `faults` strike and checks the
key. A request that creates goes to `posts`: `orders` reads what is asked for, `making` writes it
down. One that reads is answered from `world`, which works out how things stand by now from the
`store`, from `life` and the clock; `views` makes the JSON, `pictures` the files, as `shapes` has
their sizes and formats; `webm` makes a video of stills.

What a run is made of: `steps` names a model's steps, `node_runs` divides a run's life among them,
`logs` puts it into lines, `outputs` names the files that are left, `links` signs their URLs;
`run_views` and `model_views` make the JSON of runs and of models.

The rooms of routes: `account`, `model_routes`, `run_parts` (logs and node runs), `cancelling`,
`batches`, `media` with its `asset_store`, `callbacks`. `certificates` are for https.

The way of a callback: `callback_making` makes it when a run or batch has ended, in the words of
`callback_payload`; `deliveries` keeps it; `caller` sends it, and again as `retry_schedule` says.
"""
