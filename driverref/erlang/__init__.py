"""Erlang's side: the BIFs.

* `calling`: the calling process, and what it must heed before a BIF does anything.
* `processes`, `ports`: the BIFs of module `erlang`, by subject.
* `erl_ddll`: the module of that name, which loads and unloads drivers.
* `driver_entry`: what it checks before it loads one.

`Emulator` has the BIFs of `processes` and `ports` as its own methods.  The two do not know each other.
"""
