"""The driver's side: what `erl_driver.h` declares, under the names it has there.

Parameters are in C's order and units, results are C's.  Three things differ, each for one reason: Python
has no pointers.  A buffer carries its own length.  A pointer to an `unsigned int` is an `int`, or a `Key`, whose
`value` shows what was written back.  Where C fills a struct of the caller's, the struct is returned.

This module only hands on names, as a header does; what they do stands where the idea lives.
"""

# ruff: noqa: F401 - every import is a declaration
# mypy: implicit-reexport

from driverref.erl_driver.asynchronous import (
    driver_async,
    driver_async_cancel,
    driver_async_port_key,
)
from driverref.erl_driver.handles import ErlDrvCond, ErlDrvMutex, ErlDrvPDL, ErlDrvRWLock
from driverref.erl_driver.locks import (
    driver_pdl_create,
    driver_pdl_dec_refc,
    driver_pdl_get_refc,
    driver_pdl_inc_refc,
    driver_pdl_lock,
    driver_pdl_unlock,
    erl_drv_cond_broadcast,
    erl_drv_cond_create,
    erl_drv_cond_destroy,
    erl_drv_cond_name,
    erl_drv_cond_signal,
    erl_drv_cond_wait,
    erl_drv_mutex_create,
    erl_drv_mutex_destroy,
    erl_drv_mutex_lock,
    erl_drv_mutex_name,
    erl_drv_mutex_trylock,
    erl_drv_mutex_unlock,
    erl_drv_rwlock_create,
    erl_drv_rwlock_destroy,
    erl_drv_rwlock_name,
    erl_drv_rwlock_rlock,
    erl_drv_rwlock_runlock,
    erl_drv_rwlock_rwlock,
    erl_drv_rwlock_rwunlock,
    erl_drv_rwlock_tryrlock,
    erl_drv_rwlock_tryrwlock,
)
from driverref.erl_driver.output import (
    driver_output,
    driver_output2,
    driver_output_binary,
    driver_output_term,
    driver_outputv,
    driver_send_term,
    erl_drv_output_term,
    erl_drv_send_term,
)
from driverref.erl_driver.own_threads import (
    ErlDrvThreadOpts,
    ErlDrvTid,
    ErlDrvTSDKey,
    Pointer,
    erl_drv_equal_tids,
    erl_drv_thread_create,
    erl_drv_thread_exit,
    erl_drv_thread_join,
    erl_drv_thread_name,
    erl_drv_thread_opts_create,
    erl_drv_thread_opts_destroy,
    erl_drv_thread_self,
    erl_drv_tsd_get,
    erl_drv_tsd_key_create,
    erl_drv_tsd_key_destroy,
    erl_drv_tsd_set,
)
from driverref.erl_driver.ports import (
    ERL_DRV_BUSY_MSGQ_DISABLED,
    ERL_DRV_BUSY_MSGQ_READ_ONLY,
    ERL_DRV_ERROR_BADARG,
    ERL_DRV_ERROR_ERRNO,
    ERL_DRV_ERROR_GENERAL,
    ErlDrvMonitor,
    ErlDrvSysInfo,
    driver_caller,
    driver_cancel_timer,
    driver_compare_monitors,
    driver_connected,
    driver_demonitor_process,
    driver_exit,
    driver_failure,
    driver_failure_atom,
    driver_failure_eof,
    driver_failure_posix,
    driver_get_monitored_process,
    driver_mk_port,
    driver_monitor_process,
    driver_read_timer,
    driver_set_timer,
    driver_system_info,
    erl_drv_busy_msgq_limits,
    erl_drv_monotonic_time,
    set_busy_port,
    set_errno,
    set_port_control_flags,
)
from driverref.erl_driver.queue import (
    driver_deq,
    driver_enq,
    driver_enq_bin,
    driver_enqv,
    driver_peekq,
    driver_peekqv,
    driver_pushq,
    driver_pushq_bin,
    driver_pushqv,
    driver_sizeq,
    driver_vec_to_buf,
)
from driverref.memory import driver_alloc, driver_free, driver_realloc, memset, sizeof
from driverref.memory.binary import (
    ErlDrvBinary,
    driver_alloc_binary,
    driver_binary_dec_refc,
    driver_binary_get_refc,
    driver_binary_inc_refc,
    driver_free_binary,
    driver_realloc_binary,
)
from driverref.runtime.async_pool import Key
from driverref.runtime.callbacks import PORT_CONTROL_FLAG_BINARY
from driverref.runtime.driver import (
    ERL_DRV_FLAG_NO_BUSY_MSGQ,
    ERL_DRV_FLAG_SOFT_BUSY,
    ERL_DRV_FLAG_USE_PORT_LOCKING,
)
from driverref.runtime.ioq import ErlIOVec
from driverref.runtime.port import ErlDrvPort
