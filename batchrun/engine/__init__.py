"""The task group that brings manifest, ledger and API together.

The way of a cell:

    run.py             puts together, starts and ends everything of one call
    driver.py          gives slots to cells, until nothing is active; `last_looks.py` comes then
    open_sweep.py      this start's line in the ledger
    resume.py          takes over what earlier calls left
    selection.py       which cells the call is about
    names.py           whose a file name is: given in the order of the grid, and kept
    changed_sources.py whether the files that cells are made from are as they were
    redo.py            which cells are made again, and as which replicates
    scheduler.py       what the next cell needs; `ready_queue.py` says which one is next
    budget.py          what may still be spent; `held_cells.py` has the cells that wait for it
    pots.py            the budgets: the sweep's, a model's, and the day's in `day_pot.py`
    day_budget.py      draws what is reserved from the day's file, which other labels share
    affordable.py      whether the balance pays for what is to be begun
    admission.py       what the account is not let run or upload (402, 403); `funds.py`: all of it
    prices.py          what runs have cost, by their `choices.py`
    price_list.py      what a run may cost: low, expected, high, and where that is known from
    price_history.py   learns that from the ledgers of this sweep, and of its siblings
    run_costs.py       learns it from this call's runs, and asks for costs that a run didn't show
    refusing_models.py which models take no further cell, since they refuse them all alike
    uploader.py        local files, before the request; `cell_files.py` has the cells they are for
    batcher.py         which cells share a request, and when it leaves
    preflight.py       what must hold before the first POST: key, sweep, newest ledger
    opening.py         the first POST of a sweep goes alone
    other_sweeps.py    sweeps of the same name that were begun elsewhere
    submit.py          intents, POSTs, what an answer means; `request_body.py` makes their bytes
    service_health.py  whether what answers is the API
    service_waits.py   says which waits the service names
    throttle_lines.py  keeps when it refused requests as too many
    service_habits.py  what the service was seen to refuse, from one call to the next
    run_age.py         how old a run is, by the service's word and our own sight of it. Pure
    poll.py            asks how runs stand; `poll_schedule.py` says when
    callback_hints.py  whose runs have ended, by callbacks
    callback_trust.py  whether they come, and when one is late. Both pure
    downloader.py      outputs, after the run
    ends.py            who sees each cell that comes to its end
    log_keeper.py      logs of runs that ended badly, after the run; `kept_logs.py` has their files

A send without a clear answer:

    reconcile.py       evidence, whose each run is, what follows, and doing it
    identify_runs.py   whose a run is; `batch_items.py` for the runs of batches
    decisions.py       what follows where a run was found, and where none was
    ref_filter.py      the look-up by the list's filter, and whether it may be believed
    recent_runs.py     the look-up that needs no filter
    own_runs.py        the newest runs of all, once a minute: each of ours must be known
    other_labels.py    looks that finished labels of this name owe
    duplicate_runs.py  runs that are one too many, and their costs

Shared by all of them:

    context.py         what each part is given: where the engine meets the rest
    phases.py          the phases of an attempt and of a wave, and what may follow what
    transitions.py     what becomes of an attempt; `run_records.py` makes the lines of runs
    status_words.py    what the service says of status words that we don't know
    in_flight.py       the attempts under way, and their slots
    waves.py           attempts that share a reference; `run_tag.py` is what each run carries
    shutdown.py        why a call ends early, and the signals that end it
"""
