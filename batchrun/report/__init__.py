"""The page of results: `report.html`, and beside it `report/` with its data and thumbnails.

The data goes one way: rows of the results, chunks of columns, scripts beside the page. What the
page does with them is in `page/`, in JavaScript of its own, which is checked by TypeScript.

    embedded      values as JSON that can stand inside a page, whatever is in them
    columns       many values of one column in few characters
    run_times     when runs were, and how long they waited and worked
    throttle_bins the 429s of all calls, in steps of time
    chunks        rows of the results as chunks of columns
    data_files    chunks on disk, each named by its content
    thumbnails    small pictures, made once for each content
    head          what the page says of the whole sweep
    labels        rows and files of several sweeps, as one page has them
    page_file     the page itself: its code, its styles, and what it may load
    writing       all of it, row by row
    single_file   a page with its data and its pictures inside
"""
