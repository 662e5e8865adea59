"""Every case of the judge of values: each BIF and each call of the header, in each state.

A case is a state and a question.  Both are steps that two players can carry out, `values.erl` on
the emulator and `player.py` on the model.  They stand in one place, so a case cannot say one thing
to the one and something else to the other.  In reading order:

* `steps`: what a step is.
* `states`, `ports`: the states of a port, and what is asked of it in every one of them.
* `bifs`, `ddll`: what is asked of processes, of `open_port`, of names and of `erl_ddll`.
* `calls`: what a driver calls, in every state and on every kind of thread.
* `values_drv.c`, `twin`: the driver, in C and in Python.

The outcome of a case is a text: what the BIFs of the question returned or raised and whether they
waited; what became of the other actors; what is in the mailboxes; which callbacks the driver had
and what its calls returned.
"""

from __future__ import annotations

from values.bifs import named_cases, open_cases, process_cases
from values.calls import call_cases
from values.ddll import ddll_cases
from values.ports import port_cases

CASES = [
    *port_cases(),
    *process_cases(),
    *named_cases(),
    *open_cases(),
    *ddll_cases(),
    *call_cases(),
]
