"""Erlang's side: the BIFs.  In reading order:

* `calling`: the process that calls, and what it must notice before a BIF does anything.
* `processes`, `ports`: the BIFs of module `erlang`, by subject.
* `erl_ddll`: the module of that name, which loads and unloads drivers.
* `driver_entry`: what `erl_ddll` checks before it loads a driver.

`Emulator` has the BIFs of `processes` and `ports` as its own methods.  Neither of the two imports
the other.
"""
