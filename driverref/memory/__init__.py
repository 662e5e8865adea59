"""The driver's memory: blocks, the record of each, and the calls that allocate and free them.

* `ledger`: a row for everything that has to be given back, with the place where it was made.
* `races`: finds two accesses that nothing orders.
* `blocks`: `Memory` and `Struct`, which check every access.
* `atomic`: C11's atomics, which threads may share without a lock.
* `allocation`: `driver_alloc` and its relatives.
* `binary`: `ErlDrvBinary`, memory with a count of references.

To read or write a field goes through three of them: `Block._use` (`blocks`) makes the step and
looks at the field, `Row.check` (`ledger`) finds the place in the driver's code, and `Accesses.add`
(`races`) compares the access with the earlier ones.
"""

from driverref.memory.allocation import driver_alloc, driver_free, driver_realloc, memset, sizeof
from driverref.memory.blocks import Memory, Struct
from driverref.memory.ledger import Ledger

__all__ = [
    "Ledger",
    "Memory",
    "Struct",
    "driver_alloc",
    "driver_free",
    "driver_realloc",
    "memset",
    "sizeof",
]
