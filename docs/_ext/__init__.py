"""The book's own directives.

`pages` and `rulebook` know what a page is made of and know nothing of Sphinx, so that the tests
use them too; `rules`, `timeline`, `outcomes`, `eras`, `releases`, `states`, `program` and
`docstrings` are the directives, each a Sphinx extension of its own.
"""
