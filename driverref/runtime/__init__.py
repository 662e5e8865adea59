"""Today's emulator, as of OTP 25: ports, processes, schedulers, the async pool.

This is what the rest of the package stands around, and what to read first.  It knows nothing of
older emulators: what they did otherwise replaces a part of this one when an emulator is made
(`driverref.eras`).  It knows neither of its two faces: `driverref.erl_driver`, which a driver
calls, and `driverref.erlang`, the BIFs.  It draws nothing and prints nothing.

In reading order:

* `async_pool`, `completions`: a job's way to an async thread and back.
* `scheduler`: where everything else runs.
* `port_state`, `port`, `callbacks`, `closing`: a port, what Erlang asks of it, and its end.
* `senders`, `port_timer`, `port_lock`, `ioq`: the parts of a port.
* `driver`, `driver_state`, `loaded_driver`: a driver, as written and in memory.
* `process`, `entities`: processes, and what they have in common with ports.
* `core`: what all of these share.
"""
