"""The driver's memory: blocks, what is known of each, and the calls that make and free them.

* `ledger`: a row for everything that has to be given back, with the place where it came from.
* `blocks`: `Memory` and `Struct`, which check every access.
* `races`: which two accesses nothing orders.
* `atomic`: C11's atomics, which threads may share.
* `allocation`: `driver_alloc` and its relatives.
* `binary`: memory with a count of references.
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
