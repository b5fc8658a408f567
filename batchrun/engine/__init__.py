"""The task group that brings manifest, ledger and API together.

The way of a cell:

    run.py             builds, starts and ends all parts of one call
    driver.py          gives slots to cells until nothing is active; then comes `last_looks.py`
    open_sweep.py      this start's line in the ledger
    resume.py          takes over what earlier calls left
    selection.py       which cells the call is about
    names.py           gives each cell its file name, in the grid's order, for good
    changed_sources.py whether the data files of the manifest have changed
    redo.py            the cells to make again, and the numbers of their replicates
    scheduler.py       what the next cell needs; `ready_queue.py` says which one is next
    budget.py          the money that is left; `held_cells.py` has the cells that wait for it
    pots.py            the budgets: the sweep's, a model's, and the day's in `day_pot.py`
    day_budget.py      reserves money in the day's file, which other labels share
    affordable.py      whether the balance covers the cells to do
    admission.py       models and uploads that a 402 or 403 stops; `funds.py`: both, and the budget
    prices.py          the costs of runs, by their choices (`choices.py`)
    price_list.py      the price of a run: low, expected, high, and its source
    price_history.py   learns prices from the ledgers of this sweep and of its siblings
    run_costs.py       learns prices from this call's runs, and asks for missing costs
    refusing_models.py models that refuse all cells alike, and so get no further cell
    uploader.py        uploads local files before the request; `cell_files.py` has their cells
    batcher.py         which cells share a request, and when it leaves
    preflight.py       the checks before the first POST: key, sweep, newest ledger
    opening.py         the first POST of a sweep goes alone
    other_sweeps.py    sweeps of the same name that were begun elsewhere
    submit.py          intents, POSTs and their answers; `request_body.py` makes the bytes
    service_health.py  whether the API itself answers
    service_waits.py   reports the waits that the service names
    throttle_lines.py  records when the service answered 429
    service_habits.py  habits of the service, learnt in earlier calls
    run_age.py         how old a run is, by the service's time and by our clock. Pure
    poll.py            asks how runs stand; `poll_schedule.py` says when
    callback_hints.py  whose runs have ended, by callbacks
    callback_trust.py  whether callbacks come, and when one is late. Both pure
    downloader.py      outputs, after the run
    ends.py            passes on each cell that has ended
    log_keeper.py      logs of runs that ended badly, after the run; `kept_logs.py` has their files

A send without a clear answer:

    reconcile.py       looks for the runs of attempts in doubt, and takes the next step
    identify_runs.py   whose a run is; `batch_items.py` for the runs of batches
    decisions.py       the next step, with a run found and without
    ref_filter.py      the look-up by the list's filter, and whether it may be believed
    recent_runs.py     the look-up that needs no filter
    own_runs.py        checks once a minute that the ledger knows the newest runs of ours
    other_labels.py    makes the looks that finished labels of this name owe
    duplicate_runs.py  second runs of an attempt, and their costs

Shared by all of them:

    context.py         the interfaces to the rest of batchrun, which each part receives
    phases.py          the phases of an attempt and of a wave, and the table of their order
    transitions.py     changes the phase of an attempt; `run_records.py` makes the lines of runs
    status_words.py    the service's explanation of unknown status words
    in_flight.py       the attempts under way, and their slots
    waves.py           attempts that share a reference; `run_tag.py` is the tag of each run
    shutdown.py        why a call ends early, and the signals that end it
"""
