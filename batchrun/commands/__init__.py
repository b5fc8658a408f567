"""One module a command; `cli.py` picks it. Commands don't import each other.

Shared by them:

    options.py, run_options.py    the command line; `help_json.py` describes it for programs
    target.py                     which sweep is meant
    standard_input.py             a manifest from its file, or from standard input
    call.py                       what one call is about, and the key
    nothing_to_do.py              the call that is known to have nothing to do
    execute.py                    what every other call does
    recovering.py                 a ledger made again, by a command or before a call
    before_sending.py             what must hold before anything is written or sent
    beside.py                     sweeps that lie beside this one and have its cells
    reusing.py                    what `--reuse` would take over, and whether it may
    reuse_sources.py              the sweeps that it names; `taking_over.py` does it
    drawing.py                    how far a search for files is, and a draw
    notes.py                      what a manifest may not mean as it says it
    callbacks.py                  the receiver of callbacks: its secret, its address
    questions.py                  what is asked before a call begins
    connection.py                 the embedded simulator, a client
    knowing_balance.py            the account's balance, for a plan
    knowing_models.py             what the service says of the models that are sent to
    changed_types.py              columns of CSV files whose type has changed
    checking_inputs.py            what that says against the cells that would be sent
    preview.py                    what a call would do; `edited.py` says what was edited
    plan_words.py                 that as people read it; `plan_table.py` for its table
    confirm.py                    the question before something is paid for
    retrying.py                   what `--retry-failed` tries again, and what it may cost
    paid_before.py                what is paid already, and not in the ledger
    final_report.py               how a call ends; `grid_counts.py` counts for it
    reporting.py                  what the page of a sweep is made of
    labels_page.py                the page of all labels of a name
    exporting.py                  the results in other formats
    page_from_ledger.py           the page by what is on the disk alone
    live_page.py                  the page while a call runs
    ledger_counts.py              what the ledger comes to without a manifest
    outcome.py                    what a call came to, as it is printed
    status_report.py              how a sweep stands; `open_runs.py` for its runs
    cell_life.py                  one cell of a sweep, for `why` and `logs`
    fetched_logs.py               the logs of its runs
    progress_choice.py, stdout.py where progress and results go
    signals.py                    Ctrl-C and its kin
    error_boundary.py             errors -> a message and an exit code; `bug_report.py` for bugs
    whose.py                      which sweep a call was about that came to nothing
"""
