"""The client of the API: requests, their pace, and the meaning of answers.

    client.py         the API as functions, with the key
    retry.py          sends a request in its turn, and again where that is safe
    one_send.py       one send of it, and the whole of its answer
    service_clock.py  what time it is for the service
    retry_budget.py   how long a call that fails goes on. Pure
    throttled.py      the words of a service that takes no calls of one kind for now. Pure
    pagination.py     lists of runs, page by page
    service_profile.py  what the service accepts, refuses, and has proven
    post_outcomes.py  what the answer to a POST means
    get_outcomes.py   what the answer to a question means. Pure
    key_check.py      whether a 401 means that the key is refused
    wire.py           API bodies <-> our values; tolerates the API's variations
    batches.py        the same for batches
    batch_pages.py    a batch by its id, in pages where it is too large
    callbacks.py      whether a callback is signed by our secret, and whose end it announces. Pure
    statuses.py       the words for how a run stands
    lenient.py        single values of bodies
    outputs.py        finds the files in a run's output
    descriptions.py   the service's description of a model
    model_list.py     the list of models, page by page
    prices.py         price labels
    published_prices.py  prices that public pages show, with their dates
    run_logs.py       the logs of a run, and the records of its steps
    headers.py        times and content types in an answer's headers
    redact.py         removes the key from texts
    inline.py         media inside a body, which the ledger does not keep
    storage.py        HTTP without the key, for uploads and downloads of files
    downloads.py      output files
    assets.py         local files -> assets
    http/             the two HTTP clients, connections, streams
    ratelimit/        one limiter for all calls: pace, learnt rate, pace shared between processes

Nothing here knows the ledger. Nothing here decides whether a request is sent again that may have
created something: that is the engine's business.
"""
