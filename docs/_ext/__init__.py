"""The book's own Sphinx extensions, and what they and the tests read the book's sources with.

These modules know nothing of Sphinx, so the tests use them too:

* `pages`: the fences of a page, its examples, and one run of them;
* `rulebook`: the rules of the book, and the tests that name them;
* `otp_cases`: the cases of OTP's suites, and the tests that retell them;
* `marks`: the marks with which a test names a rule or a case;
* `program`: a page's examples as one Python file;
* `judged`: the runs of the real emulator, compared with the model; `judged_rows`: the same as HTML;
* `judged_values`: what was returned there, as HTML; `judged_faults`: what the usual tools found;
* `era_rows`: what the table of eras says;
* `pairs`: wrong lines beside right ones, and the C and Erlang files that a page shows;
* `driver_files`: the files of a driver, how they are compiled and run, and the driver in Python;
* `outcome_names`: the names that a page gives to outcomes, and what has moved in their orders;
* `games`: a table of outcomes as a game, with the lines of the page's examples;
* `sheet_calls`: where the calls of the header may be made, and what they return;
* `words`: a number with its noun;
* `pyodide`: the Python for the page, fetched and packed; `live_session`: what it does there.

`workshop` has what the directives share. The directive modules import it, and never each other:

* `rules`: `{rule}`, `{rule-list}` and the role `{rule}`;
* `timeline`: `{timeline}`; `outcomes`: `{outcomes}` and `{then-and-now}`;
* `releases`: `{era-map}` and `{lives}`; `states`: `{state-diagram}`;
* `driver`: `{driver}`; `pair`: `{pair}`;
* `cards`: `{cards}`, and what stands where a link to a page is shared;
* `otp_suites`: `{otp-suites}`; `sheet`: `{sheet}`, and how that page is printed;
* `names`: `{names}`, the list of what the reference, or a page of it, describes;
* `live`: `{live}`, and what `make html-live` adds to each page;
* `downloads`: `{program}`; `real_thing`: `{real-thing}` and the tables of the record.

`book_search` is the book's own search, and the pages that are made of no source.
`forms` is for the book as an EPUB, as a PDF, as text: its tables in HTML become docutils' own.
`play` writes the games of a page beside it.
`docstrings` lets docstrings be Markdown, and `picture` draws the README's picture.
"""
