"""One module a command; `cli.py` picks it. Commands don't import each other.

Shared by them:

    options.py, run_options.py    the command line; `help_json.py` describes it for programs
    target.py                     which sweep is meant
    standard_input.py             a manifest from its file, or from standard input
    call.py                       the sweep, options and key of one call
    nothing_to_do.py              the call that is known to have nothing to do
    execute.py                    what every other call does
    recovering.py                 rebuilds a ledger, by a command or before a call
    before_sending.py             the checks before anything is written or sent
    beside.py                     sweeps in other folders that have the cells of this one
    reusing.py                    the cells that `--reuse` would take over, and whether it may
    reuse_sources.py              the sweeps of `--reuse`; `taking_over.py` takes their cells over
    drawing.py                    the progress of a search for files, and of a `sample`
    notes.py                      notes on slips in a manifest
    callbacks.py                  the receiver of callbacks: its secret, its address
    questions.py                  the questions to the service before a call begins
    connection.py                 the embedded simulator, a client
    knowing_balance.py            the account's balance, for a plan
    knowing_models.py             the descriptions of the models that cells are sent to
    changed_types.py              columns of CSV files whose type has changed
    checking_inputs.py            checks the cells to send against these descriptions
    preview.py                    what a call would do; `edited.py` has the edits
    plan_words.py                 the plan in words; `plan_table.py` for its table
    confirm.py                    the question before something is paid for
    retrying.py                   the cells that `--retry-failed` tries again, and their cost
    paid_before.py                paid cells that are not in the ledger
    final_report.py               how a call ends; `grid_counts.py` counts for it
    reporting.py                  the data of a sweep's page
    labels_page.py                the page of all labels of a name
    exporting.py                  the results in other formats
    page_from_ledger.py           the page from the files on disk alone
    live_page.py                  the page while a call runs
    ledger_counts.py              the counts of a ledger without a manifest
    outcome.py                    the printed result of a call
    status_report.py              how a sweep stands; `open_runs.py` for its runs
    cell_life.py                  one cell of a sweep, for `why` and `logs`
    fetched_logs.py               the logs of the cell's runs
    progress_choice.py, stdout.py where progress and results go
    signals.py                    Ctrl-C, SIGTERM and SIGHUP
    error_boundary.py             errors -> a message and an exit code; `bug_report.py` for bugs
    whose.py                      the sweep of a call that was refused
"""
